"""`fdl tasks`."""

import dataclasses
from typing import Annotated, ClassVar

import tyro
from rich.table import Table

from fdl.cli.command import Command, out, unset
from fdl.plain import KINDS
from fdl.tasks import Description, describe, measured
from fdl.tasks import known as known_tasks


@dataclasses.dataclass(frozen=True)
class Tasks(Command):
    """List the tasks, with results where they were measured.

    Results are means and standard deviations over seeds, on full data sets.

    Attributes:
        name: Describe only this task: its paper, data sets, defaults, and the commands
            that produced its results.
    """

    name: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="NAME"),
        unset("default: all tasks"),
    ] = None

    light: ClassVar[bool] = True

    def validate(self) -> None:
        """Reject an unknown task."""
        if self.name is not None:
            describe(self.name)

    def __call__(self) -> None:
        """Print the table, or the description of one task."""
        if self.name is not None:
            _print(describe(self.name))
            return
        known = measured()
        table = Table("task", "what it is", "measured", box=None)
        for task in known_tasks():
            results = [line["result"] for line in known.get(task.name, [])]
            table.add_row(task.name, task.title, *results[:1])
        out.print(table)
        out.print("For more about a task: fdl tasks NAME, fdl train NAME --help.")


_BETTER = {"max": "higher", "min": "lower"}


def _print(task: Description) -> None:
    rates = [f"{rate:g} ({name})" for name, rate in task.learning_rates.items()]
    many, few = task.epochs
    kinds = " or ".join(KINDS[kind] for kind in task.takes)
    lines = {
        "what it is": task.title,
        "paper": task.paper,
        "data": f"{kinds}, such as {task.dataset or 'csv:FILE'}",
        "epochs": f"{many} for 60,000 examples, {few} for 4,000",
        "batch size": f"{task.batch_size}",
        "learning rate": ", ".join(rates),
        "measure": f"{task.metric}, {_BETTER[task.mode]} is better",
        "own options": ", ".join(
            f"--{name.replace('_', '-')}" for name in vars(task.options)
        ),
    }
    width = max(map(len, lines)) + 2
    for name, words in lines.items():
        out.print(f"{name:<{width}}{words}", soft_wrap=True)
    for line in measured().get(task.name, []):
        out.print(
            f"\n{line['command']}\n  {line['result']}, {line['seeds']} seeds, "
            f"{line['parameters']:,} parameters",
            soft_wrap=True,
        )
