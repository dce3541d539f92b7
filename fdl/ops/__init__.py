"""fdl.ops."""
