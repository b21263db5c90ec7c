"""Training: one loop over phases and players, run directories, checkpoints, devices."""
