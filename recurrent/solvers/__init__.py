"""Solvers: methods of going through time, each a value; all compute the function that `Sequential` computes."""
