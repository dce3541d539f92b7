"""`fdl tasks`."""

import dataclasses

from rich.table import Table

from fdl.cli.command import Command, out
from fdl.tasks import known as known_tasks
from fdl.tasks import measured


@dataclasses.dataclass(frozen=True)
class Tasks(Command):
    """List what can be trained, and what it reached where it was measured.

    Results are means over seeds with their standard deviation, on full data sets; the
    command beside each trains one seed, and `--seed` says which.
    """

    def __call__(self) -> None:
        """Print the table."""
        known = measured()
        table = Table("task", "what it is", "measured result", show_lines=True)
        for task in known_tasks():
            results = [
                f"{line['result']}, {line['seeds']} seeds, "
                f"{line['parameters']:,} parameters\n  {line['command']}"
                for line in known.get(task.name, [])
            ]
            kinds, (many, few) = " or ".join(task.takes), task.epochs
            about = (
                f"{task.title}\n{task.paper}\n{kinds} data, such as "
                f"{task.dataset or 'csv:FILE'}; {many} epochs of 60,000 examples, "
                f"{few} of 4,000"
            )
            table.add_row(task.name, about, "\n".join(results) or "none yet")
        out.print(table)
