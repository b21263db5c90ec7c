"""Measures of samples, codes and scores, as plain functions on arrays."""
