"""Checkpoints: what is saved, when, how it is written whole, and how it is read again."""
