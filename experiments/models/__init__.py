"""Models: what answers. A cell with a readout, and what other models have in common with it."""
