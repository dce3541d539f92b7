"""The entry point: parse, run, and turn errors into one line and an exit code."""

import contextlib
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import fdl
from fdl.cli.command import AnswerIsNoError, Command, err, out
from fdl.cli.completion import complete
from fdl.cli.config_file import OPTION, with_file
from fdl.cli.parse import COMPLETION, Choice, UsageError, choices, read, union
from fdl.cli.signals import end_on_signals, exit_on_signals
from fdl.console import flush, silence, steady_streams
from fdl.untrusted import shortened


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
        "Train a model on a data set; keep weights, metrics and pictures in a folder. "
        "A training that was cut off goes on by `fdl train --resume RUN`.",
    ),
    "sweep": _Place(
        "fdl.cli.sweep",
        "commands",
        "Train a task many times, over seeds and settings, in one program; keep a "
        "table, pictures and a report in a folder.",
    ),
    "find-rate": _Place(
        "fdl.cli.find_rate",
        "commands",
        "Find a learning rate: train for a few steps while it grows, draw the loss.",
    ),
    "compare": _Place(
        "fdl.cli.compare",
        "Compare",
        "Compare two sweeps over the same seeds: which is better, and by how much. Or "
        "draw the curves of several runs in one picture.",
    ),
    "eval": _Place(
        "fdl.cli.eval", "Eval", "Measure a trained run on the test set of a data set."
    ),
    "predict": _Place(
        "fdl.cli.predict",
        "Predict",
        "Predict with a trained run, from images, rows of a table, or texts.",
    ),
    "translate": _Place(
        "fdl.cli.translate",
        "Translate",
        "Turn sequences into others with a trained run: sentences, words, dates.",
    ),
    "generate": _Place(
        "fdl.cli.generate", "Generate", "Make images or texts with a trained run."
    ),
    "export": _Place(
        "fdl.cli.export", "Export", "Write a trained run as a file for other programs."
    ),
    "import": _Place(
        "fdl.cli.importing",
        "Import",
        "Import a model of Keras: show its layers, write it as a folder.",
    ),
    "summary": _Place(
        "fdl.cli.summary",
        "commands",
        "Show the layers of a task's model or of a run: outputs, parameters, FLOPs.",
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
    "runs": _Place(
        "fdl.cli.runs", "Runs", "List runs and sweeps, and how good they are."
    ),
    "watch": _Place("fdl.cli.watch", "Watch", "Show the curves of a run as it trains."),
    "info": _Place(
        "fdl.cli.info", "Info", "Show versions and devices, for a report of a bug."
    ),
}


_OF_TASKS = ("train", "sweep", "find-rate", "summary")
"""Commands that take a task, or `--task MODULE:NAME` of one of the user's."""

_LONGEST = 4000  # characters of a complaint; a list of what was tried has 1,000

_ABOUT = (
    "Classic deep learning in functional JAX. `fdl COMMAND --help` tells more, "
    "`fdl --version` the version."
)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command line; exit with 0, or 2 for bad input, or 1 for a failure.

    A signal ends it with 130 or 143; see `exit_on_signals`.

    Args:
        args: Words after the program's name; None for those of the process.
    """
    steady_streams()
    try:
        with exit_on_signals():
            _main(sys.argv[1:] if args is None else list(args))
    finally:
        if args is None:  # what the process has to do is done
            end_on_signals()


def _main(words: list[str]) -> None:
    command = None
    try:
        if words == ["--version"]:
            out.print(f"fdl {fdl.__version__}")
            return
        if words and words[0].startswith(COMPLETION):  # a shell's, which knows them all
            complete(words, union({name: _find(name) for name in _COMMANDS}))
            return
        command = _command(words)
        command.validate()
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            if not command.light:
                from fdl.runs.compiled import keep_compiled

                keep_compiled()
            command()
        flush()
    except BrokenPipeError:  # the reader of what is printed, such as `head`, has gone
        silence(sys.stdout)
    except Exception as error:
        told = _told(error)
        if told is None or (command is not None and command.debug):
            raise
        _fail(*told)


def _command(words: list[str]) -> Command:
    """Return the command that words ask for; only its own module is imported."""
    first = words[0] if words else ""
    if first == "train" and any(_is("--resume", word) for word in words):
        from fdl.cli.train import Resume

        return read("fdl train", words[1:], Resume)
    if first == "sweep" and any(_is("--run", word) for word in words):
        from fdl.cli.sweep import ResumeSweep, goes_on

        if goes_on(words[1:]):
            return read("fdl sweep", words[1:], ResumeSweep)
    if first == "summary":
        from fdl.cli.summary import SummaryOfRun, is_of_run

        if is_of_run(words[1:]):
            return read("fdl summary", words[1:], SummaryOfRun)
    if first in _COMMANDS:
        own, rest = _own_task(words[1:]) if first in _OF_TASKS else (None, words[1:])
        choice = _find(first, own)
        if first in _OF_TASKS and any(_is(OPTION, word) for word in words):
            rest = with_file(rest, choice.kind)
        prog = f"fdl {first}" if own is None else f"fdl {first} --task {own}"
        about = choice.about if choices(choice.kind) else None  # it says more itself
        return read(prog, rest, choice.kind, about)
    named = {name: Choice(place.about, Command) for name, place in _COMMANDS.items()}
    return read("fdl", words, union(named), _ABOUT)


def _is(option: str, word: str) -> bool:
    return word.partition("=")[0] == option


def _own_task(words: list[str]) -> tuple[str | None, list[str]]:
    """Return the task of the user's that words name, and the other words.

    It is looked for first, since the task decides which other words there are.
    """
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--task":
            end = place + (1 if equals else 2)
            if not equals and end > len(words):
                raise UsageError("--task needs MODULE:NAME, such as my_module:task.")
            own = value if equals else words[place + 1]
            return own, [*words[:place], *words[end:]]
    return None, words


def _find(name: str, own: str | None = None) -> Choice:
    place = _COMMANDS[name]
    found = getattr(importlib.import_module(place.module), place.name)
    if isinstance(found, type):
        return Choice(place.about, found)
    return Choice(place.about, found(own) if name in _OF_TASKS else found())


def _told(error: Exception) -> tuple[str, int] | None:
    """Return the line and the exit code for an error; None for a mistake of fdl's."""
    if isinstance(error, AnswerIsNoError):
        return str(error), 1
    if isinstance(error, OSError) and error.strerror is not None:
        name = "" if error.filename is None else f"{error.filename}: "
        return f"{name}{error.strerror}.", 2
    if isinstance(error, (ValueError, OSError)):
        return str(error), 2
    reason = str(error).partition("\n")[0]
    if isinstance(error, MemoryError) or any(word in reason for word in _SHORTAGES):
        return f"there is not enough memory for this. {reason}".rstrip(), 1
    return None


_SHORTAGES = ("RESOURCE_EXHAUSTED", "bad_alloc", "can't start new thread")
"""What errors of JAX and of Python say when the memory is full."""


def _warn(message: Warning | str, *about: Any, **more: Any) -> None:
    """Print a warning in one line, instead of where in which file it was raised."""
    err.print(f"fdl: {message}", soft_wrap=True)


def _fail(message: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # which is not what is to be told
        flush()
    err.print(f"fdl: {shortened(message, _LONGEST)}", soft_wrap=True)
    sys.exit(code)
