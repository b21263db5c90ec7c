"""The latents, one file each."""
