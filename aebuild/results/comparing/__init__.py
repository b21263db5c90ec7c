"""Many trainings that answer one question: which spec, or which values of one, are the better ones."""
