"""The norms, one file each."""
