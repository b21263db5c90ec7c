"""The bounds, one file each."""
