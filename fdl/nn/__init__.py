"""fdl.nn."""
