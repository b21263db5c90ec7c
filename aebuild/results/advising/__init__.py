"""What data are like, which autoencoder fits them, and why."""
