"""What completion offers of a package: its public names, not the files they are in."""

import sys
from collections.abc import Callable
from types import ModuleType


def public(package: str, *, modules: tuple[str, ...] = ()) -> Callable[[], list[str]]:
    """Return a `__dir__` for a package.

    Importing a file makes it an attribute of its package, so that `fdl.models.cnn`, a
    module, would stand beside `fdl.models.CNN`.

    Args:
        package: Name of the package.
        modules: Those of its files that are to be seen.

    Example:
        >>> import fdl.models
        >>> [name for name in dir(fdl.models) if name.lower() == "cnn"]
        ['CNN']
    """

    def names() -> list[str]:
        found = vars(sys.modules[package])
        return [
            name
            for name, value in found.items()
            if name in modules or not isinstance(value, ModuleType)
        ]

    return names
