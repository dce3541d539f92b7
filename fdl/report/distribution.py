"""Distributions of a measure over seeds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from fdl.metrics import summarize
from fdl.report.axes import caption, is_share, measure_axis
from fdl.report.backend import write_figure


def draw_distribution(
    path: Path | str, samples: Mapping[str, Float[np.ndarray, " seeds"]], measure: str
) -> None:
    """Draw each seed's value of a measure, and the mean with its interval.

    Args:
        path: The file to write.
        samples: Values by name, one for each seed.
        measure: Name of the measure.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "distribution.png"
        ...     draw_distribution(file, {"mlp": np.array([0.97, 0.98])}, "accuracy")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(6.4, 1.6 + 0.9 * len(samples)), layout="constrained")
    axes = figure.subplots()
    draw = np.random.default_rng(0)
    for row, (name, values) in enumerate(samples.items()):
        color, found = f"C{row}", summarize(values)
        spread = draw.uniform(-0.25, 0.25, len(values))
        size = 20 if len(values) < 100 else 5
        axes.scatter(values, row + spread, s=size, alpha=0.5, color=color, linewidths=0)
        around = [[found.mean - found.low], [found.high - found.mean]]
        known = np.isfinite(around).all()  # one seed has no interval
        axes.errorbar(
            [found.mean], [row], xerr=around if known else None, fmt="D", color="black"
        )
        text = f"{found.mean:.2%}" if is_share(measure) else f"{found.mean:.4g}"
        axes.annotate(
            f"{name}: mean {text}, {len(values)} seeds",
            (0.01, row - 0.45),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
        )
    axes.set_ylim(len(samples) - 0.5, -0.7)
    axes.set_yticks([])
    axes.grid(axis="x", alpha=0.3)
    measure_axis(axes.xaxis, measure)
    caption(figure, "A dot for each seed; the mean with its 95 % interval in black.")
    write_figure(path, figure)
