"""Ways to compute the same training, and which of them is fastest."""
