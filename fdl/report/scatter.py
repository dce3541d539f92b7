"""Scatter plots of several classes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from fdl.report.backend import write_figure


def draw_scatter(
    path: Path | str,
    points: Float[np.ndarray, "examples 2"],
    label: Int[np.ndarray, " examples"],
    class_names: Sequence[str],
    *,
    axes_names: tuple[str, str] = ("", ""),
    title: str,
) -> None:
    """Write a picture of a scatter plot, with points colored by class.

    Args:
        path: The file to write.
        points: Coordinates of the points.
        label: Class of each point.
        class_names: A name for each class; there are ten different colors.
        axes_names: Labels of the horizontal and the vertical axis.
        title: Model and data, for the title.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "latents.png"
        ...     draw_scatter(file, np.eye(2), np.arange(2), ["cat", "dog"], title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    colors = matplotlib.colormaps["tab10"]
    for index, name in enumerate(class_names):
        x, y = points[label == index].T
        axes.scatter(
            x, y, s=3, alpha=0.6, linewidths=0, color=colors(index), label=name
        )
    axes.set_xlabel(axes_names[0])
    axes.set_ylabel(axes_names[1])
    axes.set_title(title, fontsize=9)
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), markerscale=4, frameon=False
    )
    write_figure(path, figure)
