"""A trained run as files that other programs use."""
