"""The entry point: parse, run, and turn errors into one line and an exit code."""

import contextlib
import dataclasses
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, NoReturn

import tyro

from fdl.cli.command import AnswerIsNoError, Command, err, registry


class _Place(NamedTuple):
    """Where a command is; its module is imported when it is asked for.

    Attributes:
        module: The module.
        name: A subclass of `Command` in it, or a function that returns a union of some.
        about: What the command is for.
    """

    module: str
    name: str
    about: str


_COMMANDS = {
    "train": _Place(
        "fdl.cli.train",
        "commands",
        "Train a model on a data set; keep weights, metrics and pictures in a folder.",
    ),
    "sweep": _Place(
        "fdl.cli.sweep",
        "commands",
        "Train a task many times, over seeds and settings, in one program; keep a "
        "table, pictures and a report in a folder.",
    ),
    "compare": _Place(
        "fdl.cli.compare",
        "Compare",
        "Compare two sweeps over the same seeds: which is better, and by how much.",
    ),
    "eval": _Place(
        "fdl.cli.eval", "Eval", "Measure a trained run on the test set of a data set."
    ),
    "predict": _Place(
        "fdl.cli.predict", "Predict", "Tell which classes a trained run sees in images."
    ),
    "generate": _Place(
        "fdl.cli.generate", "Generate", "Make images or texts with a trained run."
    ),
    "export": _Place(
        "fdl.cli.export", "Export", "Write a trained run as a file for other programs."
    ),
    "parity": _Place(
        "fdl.cli.parity",
        "Parity",
        "Measure how far models and layers are the same as in Keras.",
    ),
    "tasks": _Place(
        "fdl.cli.tasks", "Tasks", "List what can be trained, and what it reached."
    ),
    "data": _Place("fdl.cli.data", "commands", "List data sets, or prepare one."),
}

_OF_TASKS = ("train", "sweep")
"""Commands that take a task, or `--task MODULE:NAME` of one of the user's."""


def main(args: Sequence[str] | None = None) -> None:
    """Run a command line; exit with 0, or 2 for bad input, or 1 for a failure.

    Args:
        args: Words after the program's name; None for those of the process.
    """
    command = _parse(sys.argv[1:] if args is None else list(args))
    # JAX takes a second to import: help and bad words do without.
    from fdl.runs.environment import keep_compiled
    from fdl.train import DivergenceError

    keep_compiled()
    try:
        command()
    except KeyboardInterrupt:
        _fail("interrupted; what was finished is in the run folder", 130)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, DivergenceError, AnswerIsNoError) as error:
        if command.debug:
            raise
        failed = isinstance(error, (DivergenceError, AnswerIsNoError))
        _fail(str(error), 1 if failed else 2)


def _parse(args: list[str]) -> Command:
    """Return the command that words ask for, or print help, or a line, and exit."""
    first = args[0] if args else ""
    if first in _COMMANDS:
        place = _COMMANDS[first]
        found = getattr(importlib.import_module(place.module), place.name)
        if isinstance(found, type):  # its own docstring says more
            return _read(found, f"fdl {first}", None, args[1:])
        if first not in _OF_TASKS:
            return _read(found(), f"fdl {first}", place.about, args[1:])
        own, rest = _own_task(args[1:])
        try:
            kind = found(own)
        except ValueError as error:
            _fail(str(error), 2)
        if own is None:
            return _read(kind, f"fdl {first}", place.about, rest)
        return _read(kind, f"fdl {first} --task {own}", None, rest)
    about = "Classic deep learning in functional JAX."
    return _read(_names(), "fdl", about, args)


def _own_task(args: list[str]) -> tuple[str | None, list[str]]:
    """Return the task of the user's that words name, and the other words.

    It is looked for first, since the task decides which other words there are.
    """
    for place, word in enumerate(args):
        option, equals, value = word.partition("=")
        if option == "--task":
            end = place + (1 if equals else 2)
            if not equals and end > len(args):
                _fail("--task needs MODULE:NAME, such as my_module:task.", 2)
            own = value if equals else args[place + 1]
            return own, [*args[:place], *args[end:]]
    return None, args


def _names() -> Any:
    """Return a union of empty commands, of which help needs names and purposes."""
    union: Any = None
    for name, place in _COMMANDS.items():
        empty = dataclasses.make_dataclass(name, [], bases=(Command,), frozen=True)
        one = Annotated[empty, tyro.conf.subcommand(name, description=place.about)]
        union = one if union is None else union | one
    return union


def _read(kind: Any, prog: str, about: str | None, args: list[str]) -> Command:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=prog,
                description=about,
                args=args,
                registry=registry,
                config=(
                    tyro.conf.FlagCreatePairsOff,
                    tyro.conf.OmitSubcommandPrefixes,
                ),
            )
    except SystemExit as exit:
        if exit.code in (0, None):
            raise
        # Tyro draws a box over several lines; scripts and logs want one plain line.
        words = " ".join(re.sub(r"[─-╿•]|-{3,}", " ", complaint.getvalue()).split())
        _fail(re.sub(r" Argument helptext: .* For full", ". For full", words), 2)


def _fail(message: str, code: int) -> NoReturn:
    err.print("fdl: " + " ".join(message.split()), soft_wrap=True)
    sys.exit(code)
