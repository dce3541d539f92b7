"""What all commands share, without JAX: help has to come at once."""

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
    """Return an annotation that says in the help what not giving an option means."""
    return tyro.conf.arg(help_behavior_hint=f"({meaning})")


OptionalInt = Annotated[int | None, unset("optional")]
OptionalFloat = Annotated[float | None, unset("optional")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME"), unset("optional")]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH"), unset("optional")]


OptionalFormat = Annotated[
    PictureFormat | None, unset("png, if the file's name does not tell")
]


def picture(to: Path, format: PictureFormat | None) -> Path:
    """Return the file of a picture, by its name's ending or else by the format.

    Raises:
        ValueError: If they contradict each other, or the ending is of no picture.

    Example:
        >>> picture(Path("a"), "svg").name, picture(Path("a"), None).name
        ('a.svg', 'a.png')
    """
    from fdl.pixels import picture_file  # numpy, which help does without

    if to.suffix and format not in (None, to.suffix[1:]):
        raise ValueError(
            f"{to} ends with {to.suffix}, and --format is {format}: leave one out."
        )
    if not to.suffix:
        return to.with_name(f"{to.name}.{format or 'png'}")
    return picture_file(to)


def named_again(model: str | None, task: str | None) -> str:
    """Return the words by which another command is told of the user's model or task.

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
    """Say what a run's folder makes fdl read: one from elsewhere may name any place.

    Args:
        run: The folder.
        dataset: The data set.
        place: The folder of data that is named there, if any.
        is_named: Whether the data set is, too, and was not given by the user.
    """
    if place is not None or (is_named and ":" in str(dataset)):
        where = "" if place is None else f" in {place}"
        err.print(f"{run} says to read {dataset}{where}", soft_wrap=True)


class AnswerIsNoError(Exception):
    """A command did what it was asked to, and what it found is a failure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """A command and its options.

    Attributes:
        debug: Show the whole traceback of an error.
    """

    debug: bool = False

    light: ClassVar[bool] = False
    """Whether it does without JAX."""

    def validate(self) -> None:
        """Raise ValueError for what can be seen to be wrong before JAX is imported."""

    @abstractmethod
    def __call__(self) -> None:
        """Do it. What goes wrong is raised."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reporting(Command):
    """A command that takes a while.

    Attributes:
        quiet: Say nothing until it is over.
        json: Print the result as one JSON object, and nothing else, to standard output.
        format: Of the pictures.
    """

    quiet: bool = False
    json: bool = False
    format: PictureFormat = "png"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfRun(Command):
    """A command about a run.

    Attributes:
        model: Names again the model of a run that was trained with --model.
        task: Names again the task of a run that was trained with --task.
    """

    model: OptionalName = None
    task: OptionalName = None

    @property
    def named_again(self) -> str:
        """The words that name both to another command."""
        return named_again(self.model, self.task)


registry = tyro.constructors.ConstructorRegistry()
"""How words become numbers, with plain complaints."""


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
