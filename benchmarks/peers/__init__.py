"""The other libraries that `benchmarks.speed` measures, each behind the same few functions."""
