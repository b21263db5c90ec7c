"""The lr schedules, one file each."""
