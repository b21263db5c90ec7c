"""File formats: each read without surprises, as arrays or bytes."""
