"""Errors of run folders, and of members of a sweep."""


class RunError(ValueError):
    """A run folder is in the way, missing, damaged, or of another version."""


class MembersError(RuntimeError):
    """Members of a sweep could not be trained; the others are saved."""
