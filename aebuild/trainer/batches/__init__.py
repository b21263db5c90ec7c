"""Samples on their way to the device: in order, in batches, ahead of time."""
