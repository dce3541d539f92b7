"""`fdl find-rate`."""

import dataclasses
from pathlib import Path
from typing import Any

import fdl
from fdl.cli.command import OptionalFormat, out, picture
from fdl.cli.task_command import ToTrain, for_each_task


@dataclasses.dataclass(frozen=True)
class FindRate(ToTrain):
    """Find a learning rate: train for a few steps while it grows, and draw the loss.

    `--learning-rate`, `--schedule`, `--warmup` and `--epochs` have no effect here.

    Attributes:
        low: The first rate.
        high: The last rate.
        steps: Number of updates.
        to: Picture of the loss against the rate; its ending tells the format.
        format: Of the picture.
        overwrite: Replace the file if it is there.
    """

    low: float = 1e-6
    high: float = 1.0
    steps: int = 200
    to: Path = Path("find-rate")
    format: OptionalFormat = None
    overwrite: bool = False

    def __call__(self) -> None:
        """Find it."""
        to = picture(self.to, self.format)
        if to.exists() and not self.overwrite:
            raise ValueError(
                f"{to} is there already: give another name with --to, or --overwrite."
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
    """Return `fdl find-rate TASK` for each task, or a command for one of the user's."""
    return for_each_task(FindRate, "Find a learning rate for the {}.", own)
