"""fdl.train."""
