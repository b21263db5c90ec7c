"""The corruptions, one file each."""
