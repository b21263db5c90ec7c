"""A model as one file of plain PyTorch."""
