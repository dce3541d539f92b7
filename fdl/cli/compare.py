"""`fdl compare`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import Command, OptionalFormat, out, picture
from fdl.runs.words import shown

Folders = Annotated[
    tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")
]


@dataclasses.dataclass(frozen=True)
class Compare(Command):
    """Compare the learning curves of runs, or two sweeps over the same seeds.

    Two folders of `fdl sweep TASK --seeds N` with one configuration each are compared
    seed by seed, which removes the variation that both share. Runs, or more than two
    folders, are plotted in one picture: training and validation, epoch by epoch.

    Attributes:
        runs: Two or more folders; differences are the second minus the first.
        curves: Plot the learning curves of two sweeps instead of their differences.
        picture: Picture to write, of the differences or curves; its extension sets the
            format.
        format: Format of the picture.
    """

    runs: Folders
    curves: bool = False
    picture: Path = Path("comparison")
    format: OptionalFormat = None

    def validate(self) -> None:
        """Reject a single run."""
        if len(self.runs) < 2:
            raise ValueError(
                "a comparison needs two or more folders: name another RUN."
            )

    def __call__(self) -> None:
        """Compare."""
        to = picture(self.picture, self.format)
        is_run = lambda path: (path / "metrics.jsonl").is_file()
        if self.curves or len(self.runs) > 2 or any(map(is_run, self.runs)):
            self._draw_curves(to)
        else:
            self._print_difference(to)

    def _draw_curves(self, to: Path) -> None:
        found = fdl.runs.learning(self.runs)
        names = _distinct([one.name for one in found], self.runs)
        metric = found[0].metric
        table = Table("", "epochs", "seeds", *(f"{x} {metric}" for x in _PARTS))
        for name, one in zip(names, found, strict=True):
            last = [_last(one.train), _last(one.validation), one.test]
            words = ["" if x is None else shown(metric, x) for x in last]
            table.add_row(name, *map(str, reversed(one.train.shape)), *words)
        out.print(table)
        fdl.report.draw_comparison(
            to,
            {name: one.train for name, one in zip(names, found, strict=True)},
            {name: one.validation for name, one in zip(names, found, strict=True)},
            measure=metric,
        )
        out.print(f"picture  {to}", soft_wrap=True)

    def _print_difference(self, to: Path) -> None:
        found = fdl.runs.compare(*self.runs)
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
                f"Detecting a difference of this size takes {found.seeds_needed} "
                "seeds, with a power of 80 %."
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


_PARTS = ("train", "validation", "test")


def _distinct(names: list[str], paths: Sequence[Path]) -> list[str]:
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _last(curves: Any) -> float | None:
    """Return the mean over seeds of their last values; None if there are none."""
    values = [row[row == row][-1] for row in curves if (row == row).any()]
    return sum(values) / len(values) if values else None


def _verdict(found: "fdl.runs.Comparison") -> str:
    if found.better is None:
        return "These seeds do not show which is better: the interval contains 0."
    if found.diverged[0] != found.diverged[1]:
        counts = zip(found.names, found.diverged, strict=True)
        words = ", ".join(f"{count} of {name}" for name, count in counts)
        return f"{found.better} is better: fewer of its seeds diverged ({words})."
    return f"{found.better} is better: the interval does not contain 0."
