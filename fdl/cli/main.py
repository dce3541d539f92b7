"""The entry point: parse, run, and turn errors into one line and an exit code."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import tyro

from fdl.cli.command import AnswerIsNoError, Command, err, registry
from fdl.cli.compare import Compare
from fdl.cli.data import DataList, DataPrepare
from fdl.cli.eval import Eval
from fdl.cli.export import Export
from fdl.cli.generate import Generate
from fdl.cli.parity import Parity
from fdl.cli.predict import Predict
from fdl.cli.sweep import commands as sweep_commands
from fdl.cli.tasks import Tasks
from fdl.cli.train import commands as train_commands
from fdl.runs.environment import keep_compiled
from fdl.train import DivergenceError

_DATA = Annotated[
    Annotated[DataList, tyro.conf.subcommand("list")]
    | Annotated[DataPrepare, tyro.conf.subcommand("prepare")],
    tyro.conf.subcommand("data", description="List data sets, or prepare one."),
]
_TRAIN = Annotated[
    train_commands(),
    tyro.conf.subcommand(
        "train",
        description="Train a model on a data set; keep weights, metrics and pictures "
        "in a folder. `fdl train TASK --help` lists what each task can be told.",
    ),
]
_SWEEP = Annotated[
    sweep_commands(),
    tyro.conf.subcommand(
        "sweep",
        description="Train a task many times, over seeds and settings, in one program; "
        "keep a table, pictures and a report in a folder.",
    ),
]
_COMMANDS = (
    _TRAIN
    | _SWEEP
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Parity, tyro.conf.subcommand("parity")]
    | Annotated[Tasks, tyro.conf.subcommand("tasks")]
    | _DATA
)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command line; exit with 0, or 2 for bad input, or 1 for a failure.

    Args:
        args: Words after the program's name; None for those of the process.
    """
    command = _parse(sys.argv[1:] if args is None else list(args))
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
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                _COMMANDS,
                prog="fdl",
                description="Classic deep learning in functional JAX.",
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
