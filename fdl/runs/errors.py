"""Errors of run folders, and of members of a sweep."""

from pathlib import Path


class RunError(ValueError):
    """A run folder is in the way, missing, damaged, or of another version."""


class MembersError(RuntimeError):
    """Members of a sweep could not be trained; the others are saved."""


def not_a_run(path: Path) -> RunError:
    """Return the error for a path that is no folder of a run."""
    found = "it has no config.json" if path.is_dir() else "there is no such folder"
    return RunError(f"{path} is not a run: {found}.")
