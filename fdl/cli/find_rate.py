"""`fdl find-rate`."""

import dataclasses
from pathlib import Path
from typing import Any

import fdl
from fdl.cli.command import OptionalFormat, out, picture
from fdl.cli.task_command import ToTrain, for_each_task


@dataclasses.dataclass(frozen=True)
class FindRate(ToTrain):
    """Find a learning rate: increase it over some training steps and plot the loss.

    `--learning-rate`, `--schedule`, `--warmup` and `--epochs` have no effect here.

    Attributes:
        low: First learning rate.
        high: Last learning rate.
        steps: Number of updates.
        to: Picture to write, of the loss against the learning rate; its extension sets
            the format.
        format: Format of the picture.
        overwrite: Replace an existing file.
    """

    low: float = 1e-6
    high: float = 1.0
    steps: int = 200
    to: Path = Path("find-rate")
    format: OptionalFormat = None
    overwrite: bool = False

    def __call__(self) -> None:
        """Run the test, and print the suggested learning rate."""
        to = picture(self.to, self.format)
        if to.exists() and not self.overwrite:
            raise ValueError(
                f"{to} already exists: use another name with --to, or --overwrite."
            )
        config = self.configuration()
        found = fdl.runs.find_rate(
            **self.trained(),
            low=self.low,
            high=self.high,
            steps=self.steps,
            data_dir=self.data.data_dir,
        )
        title = (
            f"{config.task}-{fdl.data.short_name(config.dataset)}, {config.optimizer}"
        )
        fdl.report.draw_rate_test(
            to, *found, title=title, loss_unit=self.task.loss_unit
        )
        out.print(
            f"the loss falls fastest at a learning rate of {found.suggestion:.2g}",
            f"written to {to}",
            sep="\n",
            soft_wrap=True,
        )


def commands(own: str | None = None) -> Any:
    """Return `fdl find-rate TASK` for each task, or a command for the user's own."""
    return for_each_task(FindRate, "Find a learning rate for the {}.", own)
