"""How networks are told their conditions, one file each."""
