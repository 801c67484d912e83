"""Recall: networks find again what they have read, among what is of no use."""
