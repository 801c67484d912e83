"""Tasks: samplers and real data sets as batches; one family a file."""
