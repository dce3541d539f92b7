"""fdl.cli."""
