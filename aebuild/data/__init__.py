"""Readers, division, scaling and downloads of data; needs numpy, imports only the language floor."""
