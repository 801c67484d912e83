"""Layers: what needs whole sequences. They have parameters and a state like cells, and go through `unroll`."""
