"""The makings of generated specs."""
