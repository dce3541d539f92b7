"""Predicted against true numbers."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from fdl.report.backend import write_figure


def draw_predictions(
    path: Path,
    true: Float[np.ndarray, " examples"],
    predicted: Float[np.ndarray, " examples"],
    *,
    title: str,
) -> None:
    """Write a PNG scatter plot of predicted against true numbers.

    Args:
        path: The file to write.
        true: The true numbers.
        predicted: What is predicted for each.
        title: Model and data, for the title.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "predictions.png"
        ...     draw_predictions(file, np.arange(3.0), np.ones(3), title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    low = min(true.min(), predicted.min())
    high = max(true.max(), predicted.max())
    axes.plot([low, high], [low, high], color="0.7", linewidth=1)
    axes.scatter(true, predicted, s=6, alpha=0.6, linewidths=0)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.set_title(title, fontsize=9)
    write_figure(path, figure)
