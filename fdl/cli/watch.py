"""`fdl watch`."""

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.console import Group
from rich.live import Live

from fdl.cli.chart import Points, draw_chart
from fdl.cli.command import Command, out
from fdl.runs.errors import RunError, not_a_run
from fdl.runs.listing import Listed, look_at, read_json, read_log
from fdl.runs.words import shown

_CHARTS = 3


@dataclasses.dataclass(frozen=True)
class Watch(Command):
    """Plot a run's learning curves in the terminal until the run ends.

    This only reads the run folder: training may run in another terminal, or in Python.

    Attributes:
        run: Run folder.
        every: Seconds between updates, above 0.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    every: float = 1.0

    light: ClassVar[bool] = True

    def validate(self) -> None:
        """Reject a folder that is not a run."""
        if not self.every > 0:
            raise ValueError(f"every={self.every} must be above 0.")
        if not (self.run / "config.json").is_file():
            raise not_a_run(self.run)
        if "sweep" in read_json(self.run / "config.json"):
            raise RunError(f"{self.run} is a sweep: only runs can be watched.")

    def __call__(self) -> None:
        """Watch."""
        with Live(console=out, auto_refresh=False) as live:
            training = True
            while training:
                now = look_at(self.run)
                if now is None or now.status == "damaged":
                    raise RunError(f"{self.run} is damaged, or of another version.")
                planned = read_json(self.run / "config.json").get("epochs")
                if type(planned) is not int:
                    raise RunError(f"{self.run} is damaged: epochs={planned!r}.")
                live.update(_draw(now, planned, read_log(self.run)), refresh=True)
                if training := now.status == "training":
                    time.sleep(self.every)


def _draw(now: Listed, planned: int, log: list[dict[str, Any]]) -> Group:
    """Return a status line and charts of a run, the one of its metric first."""
    known = log[-1]["train"] | log[-1]["validation"] if log else {}
    names = sorted(known, key=lambda name: name != now.metric)[:_CHARTS]
    height = (out.height - 2) // max(1, len(names)) - 2  # all fit on the screen
    charts = [
        draw_chart(
            name,
            {
                part: _points(log, part, name)
                for part in ("train", "validation")
                if name in log[-1][part]
            },
            width=out.width,
            height=min(max(height, 3), 8),
        )
        for name in names
    ]
    return Group(_about(now, planned, log), *charts)


def _points(log: list[dict[str, Any]], part: str, name: str) -> Points:
    values = [(line["epoch"], line[part].get(name)) for line in log]
    return [(epoch, value) for epoch, value in values if type(value) in (int, float)]


def _about(now: Listed, planned: int, log: list[dict[str, Any]]) -> str:
    far = f"{now.path}: epoch {len(log)} of {planned}"
    if now.status == "cut off":
        return f"{far}, cut off: fdl train --resume {now.path}"
    if now.status == "training":
        left = (planned - len(log)) * (log[-1]["seconds"] or 0) if log else 0
        return f"{far}, {left:.0f} s left" if left else far
    value = "" if now.value is None else f" {now.metric} {shown(now.metric, now.value)}"
    return f"{far}, done{', test' if value else ''}{value}"
