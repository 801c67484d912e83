"""Formal languages and state tracking: networks are trained on short strings and asked on long ones."""
