"""Contrast-limited adaptive histogram equalization (CLAHE)."""

import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.augmentation import BOXES, VALUES, as_images, rescaled
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    MOST_REPEATED,
    Option,
    number,
    several,
    whole,
)

_BYTE = (0.0, 255.0)
_CLASS = "ContrastLimitedAdaptiveHistogramEqualization"


def _equalize_tiles(run: Run, images: Array) -> Array:
    """Equalize the histograms of tiles (Zuiderveld, 1994), also at inference.

    Each pixel is interpolated between the tables of the four tiles whose centers are
    nearest.
    """
    o = run.options
    values = rescaled(as_images(images), o["value_range"], _BYTE)
    batch, height, width, channels = values.shape
    rows, columns = o["tile_grid_size"]
    tall, wide = -(-height // rows), -(-width // columns)
    below, beside = tall * rows - height, wide * columns - width
    pads = ((0, 0), (0, below), (0, beside), (0, 0))
    values = jnp.pad(values, pads, mode="symmetric")
    values = jnp.clip(values, *_BYTE).astype(int)
    tiles = values.reshape(batch, rows, tall, columns, wide, channels)
    tiles = tiles.transpose(0, 1, 3, 5, 2, 4).reshape(-1, tall * wide)
    tables = _tables(tiles, o["clip_limit"], images.dtype)
    tables = tables.reshape(batch, rows, columns, channels, 256)
    # Repeat the outermost tables beyond the centers of the outermost tiles.
    tables = jnp.pad(tables, ((0, 0), (1, 1), (1, 1), (0, 0), (0, 0)), mode="edge")

    def between(size: int, count: int, axis: int) -> tuple[Array, Array]:
        at = (jnp.arange(size * count) - size / 2) / size + 1
        at = jnp.expand_dims(at, [k for k in range(4) if k != axis])
        return jnp.floor(at).astype(int), (at % 1).astype(images.dtype)

    (top, down), (left, across) = between(tall, rows, 1), between(wide, columns, 2)
    image, _, _, channel = jnp.ogrid[:batch, :1, :1, :channels]
    look_up = lambda y, x: tables[image, y, x, channel, values]
    above = look_up(top, left) * (1 - across) + look_up(top, left + 1) * across
    under = look_up(top + 1, left) * (1 - across) + look_up(top + 1, left + 1) * across
    equal = (above * (1 - down) + under * down)[:, :height, :width]
    return rescaled(equal, _BYTE, o["value_range"])


def _tables(tiles: Array, limit: float, dtype: jnp.dtype) -> Array:
    """Return a table of the new value of each of the 256 values, for each tile."""
    count, size = tiles.shape
    counts = jnp.zeros((count, 256), dtype)
    counts = counts.at[jnp.arange(count)[:, None], tiles].add(1)
    if limit > 0:
        clipped = jnp.minimum(counts, limit * size / 256)
        counts = clipped + (counts - clipped).sum(-1, keepdims=True) / 256
    upto = jnp.cumsum(counts, axis=-1)
    first = upto[:, :1]
    rest = size - first
    return jnp.clip((upto - first) * 255 / jnp.where(rest == 0, 1, rest), *_BYTE)


LAYERS = {
    _CLASS: either_layout(
        Entry(
            _equalize_tiles,
            {
                "clip_limit": Option(number(), 4.0),
                "tile_grid_size": Option(several(whole(high=MOST_REPEATED), 2), (8, 8)),
                **VALUES,
                **BOXES,
            },
            level="compared in single precision, since Keras always uses it here",
        )
    )
}
