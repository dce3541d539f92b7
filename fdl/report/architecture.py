"""Drawings of models: their layers and the connections between them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

from fdl.architecture import Summary, shape_words
from fdl.report.backend import write_figure

# By part of the class name, in tints that the color-blind can distinguish (after Okabe
# & Ito, 2008).
_TINTS = {
    "Conv": "#a8cfee",
    "Dense": "#f6cfa6",
    "Norm": "#e2e2e2",
    "Pool": "#c9e8dd",
    "Attention": "#eccbdd",
    "Embedding": "#f8edb0",
    **dict.fromkeys(("LSTM", "GRU", "RNN", "Bidirectional"), "#95d5bf"),
}
_ROW, _BOX, _LETTER = 0.42, 0.28, 0.078  # inches: layer to layer, a box, a letter
_GAP = 0.25


def draw_architecture(path: Path | str, models: Mapping[str, Summary]) -> None:
    """Draw models layer below layer, with arrows that follow the data.

    An arrow leads from a layer to one that reads its output; computations between
    layers, such as an activation or a sum, are part of the arrows. Beside each layer
    are its class, its output shape and its number of parameters.

    Args:
        path: The file to write.
        models: Summary of each model, from `fdl.summary`, by name.

    Raises:
        ValueError: If the file does not have the extension of a picture.

    Example:
        >>> import fdl, jax, tempfile
        >>> model, x = fdl.models.MLP(10), jax.numpy.ones((1, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "mlp.svg"
        ...     draw_architecture(file, {"model": fdl.summary(model, variables, x)})
        ...     file.read_text()[:5]
        '<?xml'
    """
    drawn = [(f"{name}: {one.name}", _rows(one), one) for name, one in models.items()]
    widths = [_width(rows, _arrows(rows)) for _, rows, _ in drawn]
    height = _ROW * (2 + max(len(rows) for _, rows, _ in drawn))
    figure = Figure(figsize=(sum(widths), height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, sum(widths)), ylim=(height, 0))
    axes.set_axis_off()
    for number, (title, rows, summary) in enumerate(drawn):
        left = sum(widths[:number]) + _GAP + _bend(_arrows(rows))
        total = f"{summary.parameters:,} parameters, {summary.flops:,} FLOPs"
        axes.text(left, _ROW / 2, title, va="center", weight="bold", size=11)
        _draw(axes, left, rows)
        axes.text(left, (len(rows) + 1.5) * _ROW, total, va="center", size=9)
    write_figure(path, figure)


class _Row(NamedTuple):
    """A line of the drawing: an input or a layer."""

    name: str
    about: str
    tint: str
    reads: tuple[str, ...]


def _rows(summary: Summary) -> list[_Row]:
    several = len(summary.inputs) > 1
    rows = [
        _Row(f"input {n}" if several else "input", shape_words((shape,)), "white", ())
        for n, shape in enumerate(summary.inputs, 1)
    ]
    for layer in summary.layers:
        tint = next((c for part, c in _TINTS.items() if part in layer.kind), "#f6f6f6")
        about = [layer.kind, shape_words(layer.shapes)]
        if layer.parameters:
            about.append(f"{layer.parameters:,}")
        rows.append(_Row(layer.name, "   ".join(about), tint, layer.reads))
    return rows


def _arrows(rows: list[_Row]) -> list[tuple[int, int]]:
    places = {row.name: place for place, row in enumerate(rows)}
    return [(places[name], places[row.name]) for row in rows for name in row.reads]


def _bend(arrows: list[tuple[int, int]]) -> float:
    """Return how far left the arrows that skip layers reach, in inches."""
    longest = max((abs(end - start) for start, end in arrows), default=1)
    return 0.0 if longest == 1 else 0.2 + 0.25 * math.log2(longest)


def _width(rows: list[_Row], arrows: list[tuple[int, int]]) -> float:
    letters = max(len(row.about) for row in rows)
    return 4 * _GAP + _bend(arrows) + _box(rows) + _LETTER * letters


def _box(rows: list[_Row]) -> float:
    return _GAP + _LETTER * max(len(row.name) for row in rows)


def _draw(axes: Any, left: float, rows: list[_Row]) -> None:
    """Draw boxes with their text, and arrows, starting in the figure's second row."""
    width, middle = _box(rows), lambda place: (place + 1.5) * _ROW
    for place, row in enumerate(rows):
        box = FancyBboxPatch(
            (left, middle(place) - _BOX / 2),
            width,
            _BOX,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=row.tint,
            edgecolor="#444444",
            linewidth=0.8,
        )
        axes.add_patch(box)
        at = {"va": "center", "size": 9}
        axes.text(left + width / 2, middle(place), row.name, ha="center", **at)
        axes.text(left + width + _GAP, middle(place), row.about, color="#444444", **at)
    for start, end in _arrows(rows):
        if end == start + 1:
            across, down = left + width / 2, (middle(start), middle(end))
            points = [(across, down[0] + _BOX / 2), (across, down[1] - _BOX / 2)]
            line = Line(points)
        else:
            aside = left - _bend([(start, end)])
            (a, b), curve = (middle(start), middle(end)), [Line.CURVE4] * 3
            points = [(left, a), (aside, a), (aside, b), (left, b)]
            line = Line(points, [Line.MOVETO, *curve])
        axes.add_patch(
            FancyArrowPatch(
                path=line, arrowstyle="-|>", mutation_scale=7, color="#444444", lw=0.8
            )
        )
