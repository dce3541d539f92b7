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
        table = Table("task", "what it is", "data sets", "defaults", show_lines=True)
        for task in TASKS.values():
            config = task.config()
            datasets = [f"{name}, {n} epochs" for name, n in task.epochs.items()]
            defaults = (
                f"batch {config.batch_size}, {config.schedule} learning rate of "
                f"{config.learning_rate:g}"
            )
            table.add_row(
                task.name,
                f"{task.title}\n{task.paper}",
                "\n".join(datasets),
                defaults,
            )
        out.print(table)
