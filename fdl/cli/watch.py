"""`fdl watch`."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.live import Live
from rich.table import Table

from fdl.cli.command import Command, out
from fdl.runs.errors import RunError
from fdl.runs.listing import read_json, read_log
from fdl.runs.words import shown

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40


@dataclasses.dataclass(frozen=True)
class Watch(Command):
    """Show the curves of a run as it trains; ends when the run ends.

    Attributes:
        run: Folder of the run.
        every: Seconds between two looks at the folder, above 0.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    every: float = 1.0

    light: ClassVar[bool] = True

    def check(self) -> None:
        """Refuse what is no run."""
        if not self.every > 0:
            raise ValueError(f"every={self.every} must be above 0.")
        if not (self.run / "config.json").is_file():
            raise RunError(f"{self.run} is not a run: it has no config.json.")
        if "sweep" in read_json(self.run / "config.json"):
            raise RunError(f"{self.run} is a sweep; a run can be watched.")

    def __call__(self) -> None:
        """Watch."""
        config = read_json(self.run / "config.json")
        with Live(console=out, auto_refresh=False) as live:
            over = False
            while not over:
                over = (self.run / "result.json").is_file()
                live.update(_curves(self.run, config, read_log(self.run)), refresh=True)
                if not over:
                    time.sleep(self.every)


def _curves(run: Path, config: dict[str, Any], log: list[dict[str, Any]]) -> Table:
    title = f"{run}: epoch {len(log)} of {config['epochs']}"
    table = Table("", "from the first epoch", "first", "best", "last", title=title)
    for part in ("train", "validation"):
        for name in log[-1][part] if log else ():
            values = [line[part][name] for line in log]
            best = (max if values[-1] > values[0] else min)(values)
            ends = [shown(name, value) for value in (values[0], best, values[-1])]
            table.add_row(f"{part} {name}", sparkline(values), *ends)
    return table


def sparkline(values: Sequence[float]) -> str:
    """Return numbers as a line of bars; of many, some, the last among them.

    Example:
        >>> sparkline([0.0, 0.5, 1.0, float("nan")])
        '▁▄█ '
    """
    step = -(-len(values) // _WIDTH)
    values = values[::-1][::step][::-1]
    finite = [value for value in values if value - value == 0]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        _BARS[int((value - low) * scale)] if value - value == 0 else " "
        for value in values
    )
