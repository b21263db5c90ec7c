"""A trained run behind HTTP: requests in the data's own units, gathered into batches for one model."""
