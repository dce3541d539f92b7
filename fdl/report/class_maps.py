"""Class activation maps over images."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image

from fdl.arrays import Array
from fdl.report.names import cut
from fdl.report.tiles import Words, tiles_of, write_tiles

_COLORS = "inferno"  # dark to bright, also in gray and to the color-blind
_SHARE = 0.55  # weight of the map's colors in a pixel


def draw_activation_maps(
    path: Path | str,
    images: Shaped[Array, "count height width channels"],
    maps: Float[Array, "count map_height map_width"],
    captions: Sequence[str],
    *,
    title: str,
) -> None:
    """Write a picture of images, and below each the image overlaid with its map.

    Maps are those of `fdl.models.class_activation_map`, interpolated to the size of the
    images. Evidence against the class is as dark as no evidence.

    Args:
        path: The file to write.
        images: Images, gray or in color.
        maps: A map for each image.
        captions: Label of each map, such as the class.
        title: Name of the run.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "activation.png"
        ...     images, maps = np.zeros((2, 28, 28, 1)), np.ones((2, 7, 7))
        ...     draw_activation_maps(file, images, maps, ["cat", "dog"], title="a run")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    tiles = tiles_of(images)
    heat = np.maximum(np.asarray(maps, np.float32), 0)
    heat /= np.maximum(heat.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    height, width = tiles.shape[1:3]
    how = Image.Resampling.BICUBIC
    large = [Image.fromarray(one).resize((width, height), how) for one in heat]
    shares = np.stack([np.asarray(one) for one in large]).clip(0, 1)
    colored = matplotlib.colormaps[_COLORS](shares)[..., :3]
    over = (1 - _SHARE) * tiles.mean(axis=-1, keepdims=True) + _SHARE * colored
    words = Words(
        title,
        below=[""] * len(tiles)
        + ["\n".join(map(cut, x.splitlines())) for x in captions],
        note="Bright: evidence for the class below, relative to the strongest.",
    )
    both = np.concatenate([tiles, over.astype(np.float32)])
    write_tiles(path, both, len(tiles), words)
