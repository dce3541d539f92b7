"""`fdl compare`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import Command, OptionalFormat, out, picture
from fdl.runs.words import shown

Folder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]


@dataclasses.dataclass(frozen=True)
class Compare(Command):
    """Compare two configurations over the same seeds: who is better, and by how much.

    Each is a folder of `fdl sweep TASK --seeds N` with one configuration. Differences
    are taken seed by seed, which leaves out what the seeds have in common.

    Attributes:
        run_a: The one.
        run_b: The other; differences are its measure minus that of the one.
        picture: Picture of the differences; its ending tells the format.
        format: Of the picture.
    """

    run_a: Folder
    run_b: Folder
    picture: Path = Path("comparison")
    format: OptionalFormat = None

    def __call__(self) -> None:
        """Compare."""
        to = picture(self.picture, self.format)
        found = fdl.runs.compare(self.run_a, self.run_b)
        first, second = found.names
        word = lambda value: shown(found.metric, value)
        table = Table("", "seeds", found.metric, "sd", "95 % of the mean", "range")
        for name, one in zip(found.names, found.summaries, strict=True):
            table.add_row(
                name,
                str(one.seeds),
                word(one.mean),
                word(one.sd),
                f"{word(one.low)} to {word(one.high)}",
                f"{word(one.smallest)} to {word(one.largest)}",
            )
        out.print(table)
        mean = found.difference
        out.print(
            f"{second} minus {first}: {word(mean.mean)} "
            f"(95 %: {word(mean.low)} to {word(mean.high)}) over {mean.seeds} seeds",
            soft_wrap=True,
        )
        out.print(_verdict(found), soft_wrap=True)
        if found.seeds_needed is not None:
            out.print(
                f"A difference of this size takes {found.seeds_needed} seeds to see, "
                "at 80 %."
            )
        fdl.report.draw_differences(
            to,
            found.differences,
            mean.low,
            mean.high,
            title=f"{second} minus {first}",
            measure=found.metric,
        )
        out.print(f"picture  {to}", soft_wrap=True)


def _verdict(found: "fdl.runs.Comparison") -> str:
    if found.better is None:
        return "These seeds do not tell which is better: the interval contains 0."
    if found.diverged[0] != found.diverged[1]:
        counts = zip(found.names, found.diverged, strict=True)
        words = ", ".join(f"{count} of {name}" for name, count in counts)
        return f"{found.better} is better: fewer of its seeds diverged ({words})."
    return f"{found.better} is better: the interval does not contain 0."
