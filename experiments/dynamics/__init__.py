"""Dynamics: networks follow, continue or undo a system with a state of its own."""
