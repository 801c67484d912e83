"""Formal languages and state tracking: strings of symbols, and what a machine of a known class says of them."""
