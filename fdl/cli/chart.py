"""Curves in a terminal: each character is a grid of 2 x 4 dots (Braille)."""

import itertools
from collections.abc import Mapping, Sequence

from rich.text import Text

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
_COLORS = ("cyan", "yellow", "magenta", "green")
_MOST = 1e300  # beyond it, differences may overflow

Points = Sequence[tuple[int | float, int | float]]


def draw_chart(
    title: str, curves: Mapping[str, Points], *, width: int, height: int = 8
) -> Text:
    """Plot curves as text, labeled with the smallest and the largest value.

    Args:
        title: Title of the chart.
        curves: Points by name, ordered by their first coordinate; those that are not
            finite are left out.
        width: Characters per line, at least 24.
        height: Lines of the plot itself, at least 2.

    Example:
        >>> curves = {"train": [(1, 3.0), (9, 1.0)]}
        >>> print(draw_chart("loss", curves, width=24, height=2))
        loss  ━ train
               3 ┤⠉⠒⠒⠤⠤⣀⣀
               1 ┤       ⠉⠉⠒⠒⠤⠤⣀
                  1            9
    """
    finite = {
        name: [(x, y) for x, y in points if abs(y) < _MOST]  # and so no NaN
        for name, points in curves.items()
    }
    every = [point for points in finite.values() for point in points]
    text = Text(title)
    for name, color in zip(curves, itertools.cycle(_COLORS), strict=False):
        text.append("  ━ ", color).append(name)
    if not every:
        return text
    (left, right), (low, high) = ((min(z), max(z)) for z in zip(*every, strict=True))
    columns = max(width - 10, 14)
    cells: dict[tuple[int, int], int] = {}
    colors: dict[tuple[int, int], str] = {}
    for points, color in zip(finite.values(), itertools.cycle(_COLORS), strict=False):
        for x, y in _dots(points, (left, right), (low, high), 2 * columns, 4 * height):
            cell = y // 4, x // 2
            cells[cell] = cells.get(cell, _BLANK) | _DOTS[y % 4][x % 2]
            colors[cell] = color
    for row in range(height):
        label = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}.get(row, "")
        text.append(f"\n{label:>8} ┤")
        filled = [column for column in range(columns) if (row, column) in cells]
        for column in range(max(filled, default=-1) + 1):
            cell = row, column
            text.append(chr(cells.get(cell, ord(" "))), colors.get(cell))
    ends = f"{left:g}", f"{right:g}"
    text.append(f"\n{'':10}{ends[0]}{ends[1]:>{columns - len(ends[0])}}")
    return text


def _dots(
    points: Points,
    across: tuple[int | float, int | float],
    up: tuple[int | float, int | float],
    columns: int,
    rows: int,
) -> set[tuple[int, int]]:
    """Return the dots of lines from each point to the next, counted from the top."""
    place = lambda value, ends, count: (
        (0.5 if ends[0] == ends[1] else (value - ends[0]) / (ends[1] - ends[0]))
        * (count - 1)
    )
    placed = [
        (place(x, across, columns), rows - 1 - place(y, up, rows)) for x, y in points
    ]
    dots = {(round(x), round(y)) for x, y in placed}
    for (x, y), (to_x, to_y) in itertools.pairwise(placed):
        steps = max(1, round(max(abs(to_x - x), abs(to_y - y))))
        for step in range(steps):
            part = step / steps
            dots.add((round(x + part * (to_x - x)), round(y + part * (to_y - y))))
    return dots
