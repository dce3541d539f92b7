"""fdl.data."""
