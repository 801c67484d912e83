"""Experiments with recurrent networks: one module, one claim."""
