"""The likelihoods, one file each."""
