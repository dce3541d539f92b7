"""Confusion matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from matplotlib.figure import Figure

from fdl.report.backend import write_figure
from fdl.report.names import cut

_COUNTED = 30  # classes whose counts fit into the picture
_LONGEST = 24  # characters of a class name that fit


def draw_confusion(
    path: Path | str,
    counts: Int[np.ndarray, "classes classes"],
    class_names: Sequence[str],
    *,
    title: str,
) -> None:
    """Write a picture of a confusion matrix: true class down, predicted class across.

    Colors only show mistakes, since the diagonal would outshine them. With more than 30
    classes, counts are left out.

    Args:
        path: The file to write.
        counts: Number of examples by true and predicted class; see `fdl.metrics`.
        class_names: A name for each class.
        title: Model and data, for the title.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "confusion.png"
        ...     draw_confusion(file, np.eye(2, dtype=int), ["cat", "dog"], title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    classes = len(class_names)
    diagonal = np.eye(classes, dtype=bool)
    mistakes = np.where(diagonal, 0, counts)
    names = [cut(name, _LONGEST) for name in class_names]
    longest = max(map(len, names))
    # Long names need room, which the matrix would otherwise lose.
    side = 2.0 + 0.42 * min(classes, _COUNTED) + 0.08 * max(0, longest - 10)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, mistakes.max()))
    dark = mistakes > 0.6 * max(1, mistakes.max())
    for (true, predicted), count in np.ndenumerate(counts):
        if count and classes <= _COUNTED:
            axes.text(
                predicted,
                true,
                str(count),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark[true, predicted] else "black",
                weight="bold" if true == predicted else "normal",
            )
    rotation = 0 if longest <= 2 else 60
    size = 10 * min(1, _COUNTED / classes)
    axes.set_xticks(range(classes), names, rotation=rotation, fontsize=size)
    axes.set_yticks(range(classes), names, fontsize=size)
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
    axes.set_title(title, fontsize=9)
    write_figure(path, figure)
