"""Recall and token tasks: sequences of symbols, and questions about what was read; one family a file."""
