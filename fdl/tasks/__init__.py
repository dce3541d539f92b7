"""fdl.tasks."""
