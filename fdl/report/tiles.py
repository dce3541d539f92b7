"""Small pictures side by side, with labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure
from PIL import Image

from fdl.arrays import Array
from fdl.report.backend import write_figure

_DPI = 150
_SIDE, _GAP, _LINE = (
    84,
    6,
    16,
)  # pixels of a tile, between tiles, and of a line of words

Pictures = Shaped[Array, "count height width channels"]
Tiles = Float[np.ndarray, "count tile_height tile_width 3"]


class Words(NamedTuple):
    """Labels of tiles.

    Attributes:
        title: Title of the picture.
        below: Label below each tile, in one or two lines; empty for none.
        rows: Label of each row; empty for none.
        note: How to read the tiles.
    """

    title: str
    below: Sequence[str] = ()
    rows: Sequence[str] = ()
    note: str = ""


def tiles_of(pictures: Pictures) -> Tiles:
    """Return pictures as RGB in [0, 1], resized so that people can recognize them.

    Enlarged pixels stay squares.

    Args:
        pictures: Gray (one channel) or color (three channels); uint8, or floating
            point, which is clipped to [0, 1].

    Raises:
        ValueError: If there are not 1 or 3 channels.

    Example:
        >>> tiles_of(np.zeros((5, 28, 14, 1), np.uint8)).shape
        (5, 84, 42, 3)
    """
    pixels = np.asarray(pictures)
    if pixels.shape[-1] not in (1, 3):
        raise ValueError(
            f"pictures of shape {pixels.shape} cannot be drawn: pass 1 channel (gray) "
            "or 3 (color)."
        )
    if pixels.dtype != np.uint8:
        pixels = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:-1], 3))
    factor = _SIDE / max(pixels.shape[1:3])
    height, width = (max(1, round(side * factor)) for side in pixels.shape[1:3])
    how = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    resized = (Image.fromarray(x).resize((width, height), how) for x in pixels)
    return np.stack([np.asarray(x, np.float32) / 255 for x in resized])


def write_tiles(path: Path | str, tiles: Tiles, columns: int, words: Words) -> None:
    """Write a picture of tiles, row by row.

    Args:
        path: The file to write; its extension is the format, `.png`, `.svg` or `.pdf`.
        tiles: Tiles from `tiles_of`; NaN where there is none.
        columns: Number of tiles per row.
        words: Labels of the tiles.
    """
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    below = [*words.below, *[""] * (count - len(words.below))]
    lines = [  # of words below each row
        max(text.count("\n") + bool(text) for text in below[first : first + columns])
        for first in range(0, count, columns)
    ]
    tops = np.cumsum([0] + [height + _GAP + _LINE * each for each in lines])
    across = width + _GAP
    canvas = np.ones((tops[-1] - _GAP, columns * across - _GAP, 3), np.float32)
    for place, tile in enumerate(tiles):
        top, left = tops[place // columns], place % columns * across
        seen = np.where(np.isnan(tile), 1, tile)
        canvas[top : top + height, left : left + width] = seen
    # Everything is placed by whole pixels, so that tiles are not resampled.
    inner_height, inner_width, _ = canvas.shape
    longest = 9 * max(len(words.title), len(words.note))
    beside = 12 + 8 * max(map(len, words.rows), default=0)
    whole = max(beside + inner_width + 12, longest), 32 + inner_height + 36
    left, bottom = max(beside, (whole[0] - inner_width) // 2), 36
    figure = Figure((whole[0] / _DPI, whole[1] / _DPI))
    share = lambda x, y: (x / whole[0], y / whole[1])
    axes = figure.add_axes((*share(left, bottom), *share(inner_width, inner_height)))
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    for place, text in enumerate(below):
        middle = place % columns * across + width / 2
        for line, said in enumerate(text.splitlines(), 1):
            y = tops[place // columns] + height + _LINE * line - 4
            axes.text(middle, y, said, ha="center", fontsize=5.5)
    axes.set_xticks([])
    axes.set_yticks(tops[: len(words.rows)] + height / 2, words.rows, fontsize=6)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    how: dict[str, Any] = {"ha": "center", "va": "center"}
    middle = whole[0] / 2
    figure.text(*share(middle, whole[1] - 16), words.title, fontsize=8, **how)
    figure.text(*share(middle, 16), words.note, fontsize=6, color="0.35", **how)
    write_figure(path, figure)


def draw_kernels(
    path: Path | str,
    kernel: Float[Array, "height width channels features"],
    *,
    title: str,
) -> None:
    """Write a picture of the kernels of a first convolution, each as an image.

    Args:
        path: The file to write.
        kernel: The kernels, for images with 1 or 3 channels.
        title: Name of the run.

    Raises:
        ValueError: If there are not 1 or 3 channels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "kernels.png"
        ...     draw_kernels(file, np.ones((5, 5, 1, 6)), title="a run")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    height, width, _, features = kernel.shape
    each = np.moveaxis(np.asarray(kernel, np.float32), -1, 0)
    largest = np.abs(each).max(axis=(1, 2, 3), keepdims=True)
    words = Words(
        f"{title}: {features} kernels of {height}x{width}",
        note="Middle gray is 0; each is scaled by its largest weight.",
    )
    tiles = tiles_of(0.5 + each / np.where(largest > 0, 2 * largest, 1))
    write_tiles(path, tiles, 16 if features > 32 else 8, words)


def draw_features(
    path: Path | str,
    image: Shaped[Array, "height width channels"],
    stages: Mapping[int, Float[Array, "map_height map_width features"]],
    *,
    title: str,
    most: int = 10,
) -> None:
    """Write a picture of the feature maps of an image, by stride.

    The maps that vary most are shown for each stride, from their smallest value (black)
    to their largest (white). Maps of one pixel are left out.

    Args:
        path: The file to write.
        image: The image.
        stages: Its maps by stride, as `method="features"` of a model returns them.
        title: Name of the run.
        most: Number of maps to show for each stride.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "features.png"
        ...     maps = {1: np.ones((28, 28, 6)), 2: np.ones((10, 10, 16))}
        ...     draw_features(file, np.ones((28, 28, 1)), maps, title="a run")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    first = tiles_of(np.asarray(image)[None])
    rows, names = [first], ["image"]
    for stride, maps in stages.items():
        height, width, features = maps.shape
        if height * width == 1:
            continue
        each = np.moveaxis(np.asarray(maps, np.float32), -1, 0)[..., None]
        order = np.sort(np.argsort(-each.var(axis=(1, 2, 3)), kind="stable")[:most])
        least, largest = (
            f(each[order], axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max)
        )
        spread = np.where(largest > least, largest - least, 1)
        rows.append(_resized(tiles_of((each[order] - least) / spread), first))
        names.append(f"stride {stride}: {len(order)} of {features}, {height}x{width}")
    columns = max(map(len, rows))
    full = np.full((len(rows), columns, *first.shape[1:]), np.nan, np.float32)
    for row, tiles in zip(full, rows, strict=True):
        row[: len(tiles)] = tiles
    words = Words(
        f"{title}: one test image, layer by layer",
        rows=names,
        note="The maps that vary most, each from its smallest value to its largest.",
    )
    write_tiles(path, full.reshape(-1, *first.shape[1:]), columns, words)


def _resized(tiles: Tiles, like: Tiles) -> Tiles:
    """Return tiles resampled to the size of others, for maps of other shapes."""
    height, width = like.shape[1:3]
    down = np.arange(height) * tiles.shape[1] // height
    across = np.arange(width) * tiles.shape[2] // width
    return tiles[:, down][:, :, across]
