"""Solvers: methods of running a cell over a sequence, each a value; all compute the function that `Sequential`
computes.
"""
