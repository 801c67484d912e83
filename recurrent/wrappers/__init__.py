"""Wrappers: a cell made from a cell."""
