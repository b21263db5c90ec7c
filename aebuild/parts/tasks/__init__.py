"""The evaluation tasks, one file each."""
