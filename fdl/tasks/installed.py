"""Tasks of other packages, by name, without importing them."""

from importlib.metadata import EntryPoint, entry_points

GROUP = "fdl.tasks"
"""The entry point group in which other packages add tasks."""


def installed() -> dict[str, EntryPoint]:
    """Return the entry points of other packages' tasks, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}
