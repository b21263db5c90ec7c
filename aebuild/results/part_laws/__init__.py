"""What must hold for every part: laws that the project tests and `aebuild check-part` asks of a plug-in."""
