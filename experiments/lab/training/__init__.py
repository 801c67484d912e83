"""Training: pure functions of one network, and the loop of the host around them."""
