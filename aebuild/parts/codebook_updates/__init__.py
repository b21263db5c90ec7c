"""The codebook updates, one file each."""
