"""fdl.losses."""
