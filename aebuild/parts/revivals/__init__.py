"""What brings dead units back, one file each."""
