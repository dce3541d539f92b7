"""Learning curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fdl.report.axes import epoch_axis, measure_axis
from fdl.report.backend import write_figure

Curve = Sequence[float]


def draw_curves(
    path: Path | str,
    train: Mapping[str, Curve],
    validation: Mapping[str, Curve],
    *,
    title: str,
    loss_unit: str | None = None,
) -> None:
    """Write a picture of learning curves, with a panel for each metric.

    Training metrics are averages over an epoch during which the model changes, so early
    in training they are worse than those on the validation data, which are measured
    after it.

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
