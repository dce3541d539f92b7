"""fdl.models."""
