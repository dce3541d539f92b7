"""A picture of the learning rate range test."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from fdl.report.axes import readable
from fdl.report.backend import write_figure

Steps = Float[np.ndarray, " steps"]


def draw_rate_test(
    path: Path,
    rates: Steps,
    losses: Steps,
    smoothed: Steps,
    suggestion: float,
    *,
    title: str,
    loss_unit: str | None = None,
) -> None:
    """Write a picture of the loss against the learning rate (Smith, 2017).

    Args:
        path: The file to write.
        rates: Learning rates.
        losses: The loss of a batch at each learning rate.
        smoothed: Moving average of the losses.
        suggestion: Learning rate to mark.
        title: Model and data, for the title.
        loss_unit: Unit of the losses, if there is one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "rate.png"
        ...     rates, losses = np.array([0.1, 1.0]), np.array([2.0, 1.0])
        ...     draw_rate_test(file, rates, losses, losses, 0.1, title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, ".", alpha=0.25, label="loss of a batch")
    axes.plot(rates, smoothed, label="smoothed")
    axes.axvline(suggestion, color="gray", linestyle="--", label=f"{suggestion:.2g}")
    axes.set_xscale("log")
    axes.set_ylim(top=max(1.1 * max(smoothed), 1e-12))
    axes.set_xlabel(readable("learning_rate"))
    axes.set_ylabel(readable("training_loss", loss_unit))
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    write_figure(path, figure)
