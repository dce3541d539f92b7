"""Tab completion of packages: their public names, not the files that define them."""

import sys
from collections.abc import Callable
from types import ModuleType


def public(package: str, *, modules: tuple[str, ...] = ()) -> Callable[[], list[str]]:
    """Return a `__dir__` for a package.

    Importing a module makes it an attribute of its package, so completion would offer
    `fdl.models.cnn` next to `fdl.models.CNN`.

    Args:
        package: Name of the package.
        modules: Modules of the package to list as well.

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
