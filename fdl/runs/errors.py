"""What is wrong with a run's folder."""


class RunError(ValueError):
    """A run folder is in the way, missing, damaged, or of another version."""
