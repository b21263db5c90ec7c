"""Where the time goes, and how much of the machine is used."""
