"""What all commands share."""

import dataclasses
from abc import abstractmethod
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

out = Console(highlight=False, markup=False, emoji=False)
err = Console(highlight=False, markup=False, emoji=False, stderr=True)

# Options that may be left out, without Tyro's "{None}|INT" in the help.
OptionalInt = Annotated[int | None, tyro.conf.arg(metavar="N")]
OptionalFloat = Annotated[float | None, tyro.conf.arg(metavar="X")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH")]


def shown(metric: str, value: float) -> str:
    """Return a measure as people write it."""
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.4f}"


class AnswerIsNoError(Exception):
    """A command did what it was asked to, and what it found is a failure."""


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
