"""Pictures of sweeps: learning curves, effects of settings, differences of seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fdl.report.axes import (
    caption,
    epoch_axis,
    is_share,
    measure_axis,
    readable,
)
from fdl.report.backend import write_figure

_BESIDE = 32  # characters of labels that fit below a panel, next to each other
_BANDS = 8  # number of configurations whose curves have their own color


class Line(NamedTuple):
    """A configuration of a sweep.

    Attributes:
        label: Name of the configuration.
        settings: Its settings, by name.
        curves: Values of the measure, with a row for each seed and a column for each
            epoch; NaN where a seed was not trained.
    """

    label: str
    settings: Mapping[str, Any]
    curves: Float[np.ndarray, "seeds epochs"]

    def last(self) -> Float[np.ndarray, " seeds"]:
        """Return the last value of each seed that has one."""
        rows = [row[~np.isnan(row)] for row in self.curves]
        return np.array([row[-1] for row in rows if len(row)])


def draw_settings(path: Path | str, lines: Sequence[Line], measure: str) -> None:
    """Write a picture of a measure against each setting, one panel per setting.

    Each point is a seed. The line connects the means over all seeds with the same value
    of the setting, and the band reaches from the 10th to the 90th percentile. Settings
    with more than eight values only show points.

    Args:
        path: The file to write.
        lines: The configurations, with at least one setting.
        measure: Name of the measure.

    Example:
        >>> import tempfile
        >>> line = lambda rate: Line("", {"rate": rate}, np.array([[0.9, 0.95]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "settings.png"
        ...     draw_settings(file, [line(0.1), line(0.2)], "accuracy")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    names = list(lines[0].settings)
    figure = Figure(figsize=(1 + 3.6 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for name, axes in zip(names, panels, strict=True):
        values = [line.settings[name] for line in lines]
        places, ticks = places_of(values)
        xs, ys = _points(lines, places)
        axes.plot(xs, ys, ".", color="tab:blue", alpha=0.4)
        distinct = np.unique(xs)
        if len(distinct) <= _BANDS:  # from a grid, not sampled
            groups = [ys[xs == x] for x in distinct]
            axes.plot(distinct, [g.mean() for g in groups], color="tab:orange")
            low, high = ([np.percentile(g, p) for g in groups] for p in (10, 90))
            axes.fill_between(distinct, low, high, color="tab:orange", alpha=0.2)
        if ticks is not None:
            axes.set_xticks(range(len(ticks)), ticks)
            if sum(map(len, ticks)) > _BESIDE:
                axes.tick_params("x", rotation=20)
        elif is_logarithmic(values):
            axes.set_xscale("log")
        elif len(distinct) <= _BANDS and _are_apart(distinct):
            axes.set_xticks(distinct)
        axes.set_xlabel(readable(name))
        axes.grid(alpha=0.3)
    measure_axis(panels[0].yaxis, measure)
    caption(
        figure,
        "A dot for each seed; line: mean of seeds with the same value; band: 10th to "
        "90th percentile.",
    )
    write_figure(path, figure)


def _are_apart(ordered: Float[np.ndarray, " values"]) -> bool:
    """Return whether there is room for a label at each value."""
    return bool((np.diff(ordered) > 0.1 * np.ptp(ordered)).all())


def draw_learning(path: Path | str, lines: Sequence[Line], measure: str) -> None:
    """Write a picture of learning curves, as means and ranges over seeds.

    Args:
        path: The file to write.
        lines: The configurations, best first; only the first eight have a color.
        measure: Name of the measure.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "learning.png"
        ...     line = Line("all", {}, np.array([[0.9, 0.95]]))
        ...     draw_learning(file, [line], "accuracy")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for place, line in reversed(list(enumerate(lines))):
        kept = ~np.isnan(line.curves).all(axis=0)
        epochs, curves = np.flatnonzero(kept) + 1, line.curves[:, kept]
        color = f"C{place}" if place < _BANDS else "0.8"
        label = line.label if place < _BANDS and len(lines) > 1 else None
        mean = np.nanmean(curves, axis=0)
        axes.plot(epochs, mean, marker=".", color=color, label=label)
        if len(curves) > 1 and place < _BANDS:
            low, high = np.nanmin(curves, axis=0), np.nanmax(curves, axis=0)
            axes.fill_between(epochs, low, high, color=color, alpha=0.2, linewidth=0)
    epoch_axis(axes)
    measure_axis(axes.yaxis, measure)
    axes.grid(alpha=0.3)
    if any(len(line.curves) > 1 for line in lines):
        caption(figure, "Line: mean over seeds; band: from smallest to largest.")
    if len(lines) > 1:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], fontsize=8)
    write_figure(path, figure)


def draw_differences(
    path: Path | str,
    differences: Float[np.ndarray, " seeds"],
    low: float,
    high: float,
    *,
    title: str,
    measure: str,
) -> None:
    """Write a picture of paired differences, their mean and its confidence interval.

    Args:
        path: The file to write.
        differences: One difference for each seed.
        low: Lower end of the confidence interval of the mean.
        high: Upper end of the confidence interval of the mean.
        title: The comparison, for the title.
        measure: Name of the measure.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "comparison.png"
        ...     gained = np.array([0.01, 0.02])
        ...     draw_differences(file, gained, 0.01, 0.02, title="", measure="accuracy")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(6.4, 3), layout="constrained")
    axes = figure.subplots()
    spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(differences))
    axes.plot(differences, spread, "o", alpha=0.6, label="a seed")
    mean = differences.mean()
    axes.errorbar(
        [mean],
        [0],
        xerr=[[mean - low], [high - mean]],
        fmt="s",
        color="tab:orange",
        capsize=6,
        label="mean, 95 % interval",
    )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    axes.set_xlabel(f"Difference: {readable(measure)}")
    if is_share(measure):
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.set_title(title)
    axes.legend(fontsize=8)
    write_figure(path, figure)


def places_of(values: Sequence[Any]) -> tuple[np.ndarray, list[str] | None]:
    """Return positions of values on an axis, and tick labels unless all are numbers."""
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return np.array(values, float), None
    names = sorted({str(value) for value in values})
    return np.array([names.index(str(value)) for value in values], float), names


def is_logarithmic(values: Sequence[Any]) -> bool:
    """Return whether numbers need a logarithmic axis.

    That is, if they span a factor of 10 or more, and their median is nearer to the
    geometric than to the arithmetic mean of the ends.

    Example:
        >>> is_logarithmic([1e-4, 1e-3, 1e-2]), is_logarithmic([0.01, 0.2, 0.3, 0.5])
        (True, False)
    """
    low, middle, high = np.quantile(np.asarray(values, float), (0, 0.5, 1))
    if low <= 0 or high / low < 10:
        return False
    return bool(middle / np.sqrt(low * high) < (low + high) / 2 / middle)


def _points(lines: Sequence[Line], places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = [
        (place, y)
        for line, place in zip(lines, places, strict=True)
        for y in line.last()
    ]
    return np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])
