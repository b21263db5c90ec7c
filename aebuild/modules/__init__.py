"""Plain nn.Modules with plain arguments; nothing here imports the rest of aebuild."""
