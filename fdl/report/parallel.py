"""Parallel coordinates: all settings of a sweep in one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from fdl.report.axes import caption, is_share, readable
from fdl.report.backend import write_figure
from fdl.report.sweep import Line, is_logarithmic, places_of


def draw_parallel(
    path: Path | str,
    lines: Sequence[Line],
    measure: str,
    *,
    smallest_is_best: bool = False,
) -> None:
    """Write a picture of parallel coordinates (Inselberg, 1985).

    Each configuration is a line through its settings to the mean of its measure.
    Lines are colored by rank, and the best are drawn last.

    Args:
        path: The file to write.
        lines: The configurations, with at least one setting.
        measure: Name of the measure.
        smallest_is_best: Whether smaller values are better.

    Example:
        >>> import tempfile
        >>> line = lambda rate: Line("", {"rate": rate}, np.array([[0.9, 0.95]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "parallel.png"
        ...     draw_parallel(file, [line(0.1), line(0.2)], "accuracy")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    lines = [line for line in lines if len(line.last())]
    means = np.array([line.last().mean() for line in lines])
    names = list(lines[0].settings)
    columns = [[line.settings[name] for line in lines] for name in names]
    figure = Figure(figsize=(2.6 + 1.9 * len(names), 4.4), layout="constrained")
    axes = figure.subplots()
    measured = _Axis(list(means), is_share(measure))
    all_axes = [*(_Axis(values) for values in columns), measured]
    for x, axis in enumerate(all_axes):
        axes.axvline(x, color="0.3", linewidth=0.8, zorder=3)
        for height, text in axis.ticks():
            axes.plot([x - 0.02, x], [height, height], color="0.3", linewidth=0.8)
            axes.annotate(
                text,
                (x, height),
                xytext=(-4, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=8,
                zorder=4,
                bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
            )
    # Color by rank: a few bad values would otherwise make all good ones look alike.
    order = np.argsort(-means if smallest_is_best else means)
    rank = np.empty(len(means))
    rank[order] = np.linspace(0, 1, len(means))
    colors = matplotlib.colormaps["viridis_r"]
    heights = np.stack([axis.heights for axis in all_axes])
    for k in order:
        width, alpha = (3, 1.0) if k == order[-1] else (1.5, 0.6)
        axes.plot(heights[:, k], color=colors(rank[k]), linewidth=width, alpha=alpha)
    axes.set_xticks(
        range(len(all_axes)), [readable(name) for name in [*names, measure]]
    )
    axes.set_yticks([])
    axes.set_xlim(-0.55, len(names) + 0.1)
    for side in axes.spines.values():
        side.set_visible(False)
    mappable = ScalarMappable(Normalize(0, 1), colors)
    bar = figure.colorbar(mappable, ax=axes, ticks=[0, 1], pad=0.02, aspect=30)
    bar.ax.set_yticklabels(["worst", "best"])
    caption(
        figure,
        "A line for each configuration, to its mean over seeds; the best is bold.",
    )
    write_figure(path, figure)


class _Axis:
    """A vertical axis: positions of values, from 0 to 1, and tick labels."""

    def __init__(self, values: Sequence[Any], percent: bool = False) -> None:
        places, self.names = places_of(values)
        self.logarithmic = self.names is None and is_logarithmic(values)
        self.percent = percent
        self.places = np.log10(places) if self.logarithmic else places
        self.low, self.span = self.places.min(), np.ptp(self.places) or 1.0
        self.heights = (self.places - self.low) / self.span

    def ticks(self) -> list[tuple[float, str]]:
        """Return the heights and labels of ticks."""
        if self.names is not None:
            count = max(1, len(self.names) - 1)
            return [(k / count, name) for k, name in enumerate(self.names)]
        distinct = np.unique(self.places)
        if len(distinct) <= 5:
            locator = FixedLocator(list(distinct))
        else:  # powers of ten, if logarithmic
            locator = MaxNLocator(5, integer=self.logarithmic)
        high = self.low + self.span
        found = [
            x for x in locator.tick_values(self.low, high) if self.low <= x <= high
        ]
        return [((x - self.low) / self.span, self._text(x)) for x in found]

    def _text(self, place: float) -> str:
        value = 10**place if self.logarithmic else place
        return f"{100 * value:.4g}" if self.percent else f"{value:.3g}"
