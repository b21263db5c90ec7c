"""What is done with a trained run: evaluation, baselines and pictures."""
