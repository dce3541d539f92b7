"""Learning curves, of one run or several."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from fdl.report.axes import caption, epoch_axis, measure_axis
from fdl.report.backend import write_figure

Curve = Sequence[float]
Curves = Float[np.ndarray, "seeds epochs"]

# Distinguishable by the color-blind, too (Okabe & Ito, 2008).
_COLORS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"


def draw_curves(
    path: Path | str,
    train: Mapping[str, Curve],
    validation: Mapping[str, Curve],
    *,
    title: str,
    loss_unit: str | None = None,
) -> None:
    """Write a picture of learning curves, with a panel for each metric.

    Training metrics are averages over an epoch in which the model changes, so early in
    training they are worse than those on the validation data, which are measured after
    the epoch.

    Args:
        path: The file to write.
        train: Values on the training data by metric, one for each epoch.
        validation: Values on the validation data by metric; empty if there are none.
        title: Name of the run.
        loss_unit: Unit of the measures whose names end with `loss`, if there is one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "curves.png"
        ...     draw_curves(file, {"loss": [2.0, 1.0]}, {"loss": [1.5, 1.2]}, title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    names = sorted(train.keys() | validation.keys())
    figure = Figure(figsize=(4.2 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for name, axes in zip(names, panels, strict=True):
        labeled = (("train, during the epoch", train), ("validation", validation))
        for label, curves in labeled:
            if name in curves:
                epochs = range(1, len(curves[name]) + 1)
                axes.plot(epochs, curves[name], marker="o", label=label)
        epoch_axis(axes)
        measure_axis(axes.yaxis, name, loss_unit if name.endswith("loss") else None)
        axes.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle(title)
    write_figure(path, figure)


def draw_comparison(
    path: Path | str,
    train: Mapping[str, Curves],
    validation: Mapping[str, Curves],
    *,
    measure: str,
) -> None:
    """Write a picture of how several models learn, as in He et al. (2015), figure 6.

    Thin dashed lines (a hollow point for a single epoch) show the training data, during
    the epoch; bold lines the validation set, after it. For several seeds, they show the
    mean, with a band from the smallest to the largest. Accuracies are drawn as errors.

    Args:
        path: The file to write.
        train: Values on the training data by name, a row for each seed; NaN where there
            is none.
        validation: The same on the validation set.
        measure: Name of the measure.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "comparison.png"
        ...     runs = {"plain": np.array([[0.8, 0.9]]), "residual": np.ones((3, 2))}
        ...     draw_comparison(file, runs, runs, measure="accuracy")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    is_error = measure.endswith("accuracy")
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    of = lambda curves: 1 - curves if is_error else curves
    for place, name in enumerate(train):
        color = _COLORS[place % len(_COLORS)]
        dashed: dict[str, Any] = {
            "linestyle": "--",
            "linewidth": 1,
            "fillstyle": "none",
        }
        bold: dict[str, Any] = {"linewidth": 2.2}
        _draw_seeds(axes, of(train[name]), color, dashed)
        _draw_seeds(axes, of(validation[name]), color, bold)
        axes.plot([], [], color=color, label=name, **bold)
    epoch_axis(axes)
    measure_axis(axes.yaxis, measure)
    if is_error:
        axes.set_ylabel("Error (%)")
    several = any(len(curves) > 1 for curves in (*train.values(), *validation.values()))
    lines = "Dashed or hollow: training, during the epoch; bold: validation, after it"
    bands = "; mean over seeds, band from smallest to largest." if several else "."
    caption(figure, lines + bands)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    write_figure(path, figure)


def _draw_seeds(
    axes: Any, curves: Curves, color: str, style: Mapping[str, Any]
) -> None:
    kept = ~np.isnan(curves).all(axis=0)
    epochs, values = np.flatnonzero(kept) + 1, curves[:, kept]
    if not len(epochs):
        return
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, np.nanmean(values, axis=0), color=color, marker=marker, **style)
    if len(values) > 1:
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)
