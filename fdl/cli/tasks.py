"""`fdl tasks`."""

import dataclasses

from rich.table import Table

from fdl.cli.command import Command, out
from fdl.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Tasks(Command):
    """List what can be trained."""

    def __call__(self) -> None:
        """Print the table."""
        table = Table("task", "what it is", "data sets", "defaults", "paper")
        for task in TASKS.values():
            config = task.config()
            defaults = (
                f"{config.epochs} epochs, batch {config.batch_size}, "
                f"{config.schedule} rate {config.learning_rate:g}"
            )
            table.add_row(
                task.name, task.title, "\n".join(task.datasets), defaults, task.paper
            )
        out.print(table)
