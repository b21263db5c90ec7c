"""What went wrong in a training: causes with their symptom, evidence and remedy."""
