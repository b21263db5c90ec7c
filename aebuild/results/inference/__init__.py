"""What a trained model is for: encode, decode, reconstruct, score, sample, walk."""
