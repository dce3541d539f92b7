"""fdl.report."""
