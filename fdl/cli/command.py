"""What all commands share, without JAX: help has to come at once."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfRun(Command):
    """A command about a run.

    Attributes:
        model: Names again the model of a run that was trained with --model.
        task: Names again the task of a run that was trained with --task.
    """

    model: OptionalName = None
    task: OptionalName = None


registry = tyro.constructors.ConstructorRegistry()
"""How words become settings that Tyro does not know."""
