"""Continual prediction: streams that nothing marks and nothing resets, learned symbol by symbol."""
