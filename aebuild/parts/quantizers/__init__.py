"""The quantizers, one file each."""
