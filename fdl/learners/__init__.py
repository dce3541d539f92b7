"""fdl.learners."""
