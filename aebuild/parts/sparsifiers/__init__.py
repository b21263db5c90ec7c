"""What makes sparse codes sparse, one file each."""
