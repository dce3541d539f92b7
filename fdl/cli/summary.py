"""`fdl summary`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

import fdl
from fdl import tasks
from fdl.cli.command import OfRun, OptionalInt, OptionalPath, out, unset
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.files import json_text

Levels = Annotated[OptionalInt, unset("default: all")]


def say(found: Any, json: bool, svg: Path | None) -> None:
    """Print `fdl.tasks.Summaries` as tables or one JSON object; draw them to `svg`."""
    if svg is not None:
        if svg.suffix != ".svg":
            raise ValueError(f"--svg={svg} must end with .svg.")
        fdl.report.draw_architecture(svg, found)
    if json:
        print(json_text({name: as_json(one) for name, one in found.items()}))
    else:
        out.print(str(found), soft_wrap=True)


def as_json(one: Any) -> dict[str, Any]:
    """Return a `fdl.architecture.Summary` as plain data."""
    return one._asdict() | {"layers": [layer._asdict() for layer in one.layers]}


@dataclasses.dataclass(frozen=True)
class Summary(ToTrain):
    """Show the layers of a task's model: outputs, parameters, FLOPs per example.

    An addition and a multiplication are two FLOPs. Only the options of the model, the
    data and --freeze matter. `fdl summary RUN` shows a run or a folder of `fdl import`.

    Attributes:
        levels: Number of nested levels of layers to show.
        json: Print one JSON object instead of a table.
        svg: SVG file to write, with a drawing of the layers and their connections.
    """

    levels: Levels = None
    json: bool = False
    svg: Annotated[OptionalPath, unset("default: none")] = None

    def __call__(self) -> None:
        """Print the summary."""
        found = fdl.runs.summarize(
            **self.trained(), levels=self.levels, data_dir=self.data.data_dir
        )
        say(found, self.json, self.svg)


@dataclasses.dataclass(frozen=True)
class SummaryOfRun(OfRun):
    """Show the layers of a run: outputs, parameters, FLOPs per example.

    Attributes:
        run: Run folder, or a folder of `fdl import`.
        levels: Number of nested levels of layers to show.
        json: Print one JSON object instead of a table.
        svg: SVG file to write, with a drawing of the layers and their connections.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    levels: Levels = None
    json: bool = False
    svg: Annotated[OptionalPath, unset("default: none")] = None

    def __call__(self) -> None:
        """Print the summary."""
        run = fdl.load(self.run, model=self.model, task=self.task)
        if not isinstance(run, fdl.runs.Run | fdl.runs.ImportedModel):
            raise ValueError(f"{self.run} is an exported file, which has no layers.")
        say(run.summary(levels=self.levels), self.json, self.svg)


_TAKES_A_WORD = ("--levels", "--model")


def is_of_run(words: Sequence[str]) -> bool:
    """Return whether the first word that is not an option is a path, not a task."""
    before = ["", *words[:-1]]
    for last, word in zip(before, words, strict=True):
        if not word.startswith("-") and last not in _TAKES_A_WORD:
            is_place = "/" in word or (word != "" and Path(word).exists())
            return is_place and word not in tasks.names()
    return False


def commands(own: str | None = None) -> Any:
    """Return `fdl summary TASK` for each task, or a command for the user's own."""
    return for_each_task(Summary, "Show the layers of the {}.", own)
