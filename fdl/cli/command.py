"""What all commands share."""

import dataclasses
from abc import abstractmethod

from rich.console import Console

out = Console(highlight=False, markup=False, emoji=False)
err = Console(highlight=False, markup=False, emoji=False, stderr=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """A command and its options.

    Attributes:
        debug: Show the whole traceback of an error.
    """

    debug: bool = False

    @abstractmethod
    def __call__(self) -> None:
        """Do it. What goes wrong is raised."""
