"""The solver that takes the weight gradients out of the backward loop, for any cell with products of its state."""
