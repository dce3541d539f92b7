"""Reliability diagrams."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fdl.metrics import Reliability, calibration_error
from fdl.report.backend import write_figure


def draw_reliability(path: Path, found: Reliability, *, title: str) -> None:
    """Write a picture of a reliability diagram (DeGroot & Fienberg, 1983).

    It shows accuracy against confidence in each bin, which is the diagonal for a
    calibrated model, and below it the number of predictions in each bin.

    Args:
        path: The file to write.
        found: The result of `fdl.metrics.reliability`.
        title: Name of the model or run.

    Example:
        >>> import tempfile
        >>> from fdl.metrics import reliability
        >>> found = reliability(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "reliability.png"
        ...     draw_reliability(file, found, title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(4.6, 5), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, len(found.size) + 1)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1]
    above.bar(middles, np.nan_to_num(found.accuracy), width, edgecolor="white")
    above.plot([0, 1], [0, 1], "--", color="black", linewidth=1)
    above.plot(found.confidence, found.accuracy, "o", color="tab:orange")
    above.set_ylabel("Accuracy")
    above.set_title(f"{title}\ncalibration error {calibration_error(found):.2%}")
    below.bar(middles, found.size, width, edgecolor="white")
    below.set_yscale("symlog")
    below.set_xlabel("Confidence")
    below.set_ylabel("Predictions")
    write_figure(path, figure)
