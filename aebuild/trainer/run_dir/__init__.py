"""Run directories: who owns one, and what is written there."""
