"""What all commands share, without importing JAX, so that help is instant."""

import dataclasses
import shlex
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from fdl.console import SteadyConsole
from fdl.plain import Number, PictureFormat

out = SteadyConsole(highlight=False, markup=False, emoji=False)
err = SteadyConsole(highlight=False, markup=False, emoji=False, stderr=True)


def unset(meaning: str) -> Any:
    """Return an annotation that describes an option's default in the help."""
    return tyro.conf.arg(help_behavior_hint=f"({meaning})")


OptionalInt = Annotated[int | None, unset("optional")]
OptionalFloat = Annotated[float | None, unset("optional")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME"), unset("optional")]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH"), unset("optional")]


OptionalFormat = Annotated[
    PictureFormat | None, unset("default: from the file name, else png")
]


def picture(to: Path, format: PictureFormat | None) -> Path:
    """Return the path of a picture, with the format as its extension if it has none.

    Raises:
        ValueError: If extension and format differ, or the extension is not a picture's.

    Example:
        >>> picture(Path("a"), "svg").name, picture(Path("a"), None).name
        ('a.svg', 'a.png')
    """
    from fdl.pixels import picture_file  # imports NumPy, which help does not need

    if to.suffix and format not in (None, to.suffix[1:]):
        raise ValueError(
            f"{to} ends with {to.suffix}, but --format is {format}: leave one out."
        )
    if not to.suffix:
        return to.with_name(f"{to.name}.{format or 'png'}")
    return picture_file(to)


def named_again(model: str | None, task: str | None) -> str:
    """Return the options that pass the user's model or task to another command.

    Example:
        >>> named_again("my_module:make_model", None)
        ' --model my_module:make_model'
    """
    return "".join(
        f" --{option} {shlex.quote(name)}"
        for option, name in (("model", model), ("task", task))
        if name
    )


def say_what_is_read(
    run: Path, dataset: Any, place: Any, *, is_named: bool = True
) -> None:
    """Print the data that a run folder makes fdl read, which may be any path.

    Args:
        run: The run folder.
        dataset: The data set.
        place: The data folder that the run names, if any.
        is_named: Whether the run also names the data set, rather than the user.
    """
    if place is not None or (is_named and ":" in str(dataset)):
        where = "" if place is None else f" in {place}"
        err.print(f"reading {dataset}{where}, as recorded in {run}", soft_wrap=True)


class AnswerIsNoError(Exception):
    """A command ran as asked, and its result is a failure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """A command and its options.

    Attributes:
        debug: Show the whole traceback of an error.
    """

    debug: bool = False

    light: ClassVar[bool] = False
    """Whether the command does not need JAX."""

    resumes: ClassVar[str | None] = None
    """What the command resumes, with the settings that it began with, if anything."""

    def validate(self) -> None:
        """Raise ValueError for errors that can be found before JAX is imported."""

    @abstractmethod
    def __call__(self) -> None:
        """Run the command; raise an error if it fails."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reporting(Command):
    """A long-running command.

    Attributes:
        quiet: Print nothing until the end.
        json: Print the result as one JSON object, and nothing else, to standard output.
        format: Format of the pictures.
    """

    quiet: bool = False
    json: bool = False
    format: PictureFormat = "png"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfRun(Command):
    """A command about a run.

    Attributes:
        model: The --model that the run was trained with, if any.
        task: The --task that the run was trained with, if any.
    """

    model: OptionalName = None
    task: OptionalName = None

    @property
    def named_again(self) -> str:
        """The options that pass both to another command."""
        return named_again(self.model, self.task)


registry = tyro.constructors.ConstructorRegistry()
"""Parsers of numbers, with plain error messages."""


@registry.primitive_rule
def _number(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
    if info.type in (int, int | None):
        return _reader(int, "N", "a whole number")
    if info.type in (float, float | None, Number):
        return _reader(float, "X", "a number")
    return None


def _reader(kind: type, metavar: str, what: str) -> Any:
    def read(words: list[str]) -> Any:
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(f"{words[0]!r} is not {what}") from None

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, (int, float)),
        str_from_instance=lambda value: [str(value)],
    )
