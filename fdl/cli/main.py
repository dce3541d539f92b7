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
    """Location of a command, whose module is imported on demand.

    Attributes:
        module: Name of the module.
        name: A subclass of `Command` in it, or a function that returns a union of them.
        about: One-line description for the help.
    """

    module: str
    name: str
    about: str


_COMMANDS = {
    "train": _Place(
        "fdl.cli.train",
        "commands",
        "Train a model on a data set; weights, metrics and pictures go to a run "
        "folder. Resume an interrupted run with `fdl train --resume RUN`.",
    ),
    "sweep": _Place(
        "fdl.cli.sweep",
        "commands",
        "Train a task many times, over seeds and settings, in one program; a table, "
        "pictures and a report go to a folder.",
    ),
    "find-rate": _Place(
        "fdl.cli.find_rate",
        "commands",
        "Find a learning rate: increase it over some training steps, plot the loss.",
    ),
    "compare": _Place(
        "fdl.cli.compare",
        "Compare",
        "Compare two sweeps over the same seeds (which is better, and by how much), "
        "or plot the learning curves of several runs in one picture.",
    ),
    "eval": _Place("fdl.cli.eval", "Eval", "Evaluate a trained run on a test set."),
    "predict": _Place(
        "fdl.cli.predict",
        "Predict",
        "Predict with a trained run, from images, table rows or texts.",
    ),
    "translate": _Place(
        "fdl.cli.translate",
        "Translate",
        "Translate sequences with a trained run: sentences, words, dates.",
    ),
    "generate": _Place(
        "fdl.cli.generate",
        "Generate",
        "Generate images, texts or music with a trained run.",
    ),
    "export": _Place(
        "fdl.cli.export",
        "Export",
        "Export a trained run to a file for other programs.",
    ),
    "import": _Place(
        "fdl.cli.importing",
        "Import",
        "Import a Keras model: show its layers, or write it to a folder.",
    ),
    "summary": _Place(
        "fdl.cli.summary",
        "commands",
        "Show the layers of a task's model or of a run: outputs, parameters, FLOPs.",
    ),
    "parity": _Place(
        "fdl.cli.parity",
        "Parity",
        "Measure how closely models and layers match Keras.",
    ),
    "tasks": _Place(
        "fdl.cli.tasks", "Tasks", "List the tasks and their measured results."
    ),
    "data": _Place(
        "fdl.cli.data", "commands", "List, describe, check or prepare data sets."
    ),
    "runs": _Place("fdl.cli.runs", "Runs", "List runs and sweeps with their results."),
    "watch": _Place(
        "fdl.cli.watch", "Watch", "Plot a run's learning curves as it trains."
    ),
    "info": _Place(
        "fdl.cli.info", "Info", "Show versions and devices, for a bug report."
    ),
}


_OF_TASKS = ("train", "sweep", "find-rate", "summary")
"""Commands that take a task, or the user's own as `--task MODULE:NAME`."""

_LONGEST = 4000  # characters of an error message; a list of places tried has 1,000

_ABOUT = (
    "Classic deep learning in functional JAX. `fdl COMMAND --help` describes a "
    "command, `fdl --version` prints the version."
)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command line; exit with 0, with 2 for bad input, or with 1 for a failure.

    On a signal, exit with 130 or 143; see `exit_on_signals`.

    Args:
        args: Words after the program's name; None for those in `sys.argv`.
    """
    steady_streams()
    try:
        with exit_on_signals():
            _main(sys.argv[1:] if args is None else list(args))
    finally:
        if args is None:  # the process has nothing left to do
            end_on_signals()


def _main(words: list[str]) -> None:
    command = None
    try:
        if words == ["--version"]:
            out.print(f"fdl {fdl.__version__}")
            return
        if words and words[0].startswith(COMPLETION):  # from a shell, for all commands
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
    except BrokenPipeError:  # the reader of stdout, such as `head`, has exited
        silence(sys.stdout)
    except Exception as error:
        message_and_code = _explain(error)
        if message_and_code is None or (command is not None and command.debug):
            raise
        _fail(*message_and_code)


def _command(words: list[str]) -> Command:
    """Parse words into a command; import only the module of that command."""
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
        about = choice.about if choices(choice.kind) else None  # else its docstring
        return read(prog, rest, choice.kind, about)
    named = {name: Choice(place.about, Command) for name, place in _COMMANDS.items()}
    return read("fdl", words, union(named), _ABOUT)


def _is(option: str, word: str) -> bool:
    return word.partition("=")[0] == option


def _own_task(words: list[str]) -> tuple[str | None, list[str]]:
    """Return the user's own task, if words name one, and the remaining words.

    This comes before parsing, since the options depend on the task.
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


def _explain(error: Exception) -> tuple[str, int] | None:
    """Return the message and the exit code for an error; None for a bug in fdl."""
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
"""Parts of error messages of JAX and Python when memory runs out."""


def _warn(message: Warning | str, *about: Any, **more: Any) -> None:
    """Print a warning as one line, without the file and line that raised it."""
    err.print(f"fdl: {message}", soft_wrap=True)


def _fail(message: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # must not hide the message
        flush()
    err.print(f"fdl: {shortened(message, _LONGEST)}", soft_wrap=True)
    sys.exit(code)
