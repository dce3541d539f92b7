"""Grids of images and animations."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from fdl.arrays import Array
from fdl.files import write_whole
from fdl.pixels import enlarged, enlargement, write_pixels

_GAP = 2  # pixels between images


def draw_images(
    path: Path | str,
    images: Shaped[Array, "count height width channels"],
    columns: int | None = None,
) -> None:
    """Write a grid of images, row by row, enlarged so that people can recognize them.

    Args:
        path: The file to write; its extension is the format, `.png`, `.svg` or `.pdf`.
        images: Gray (one channel) or color (three channels); floating point, which is
            clipped to [0, 1], or uint8.
        columns: Number of images in a row, at least 1; None for a square grid.

    Raises:
        ValueError: If there are no images, or they do not have 1 or 3 channels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "samples.png"
        ...     draw_images(file, np.zeros((6, 28, 28, 1)), columns=3)
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    write_pixels(path, _grid(images, columns))


def draw_animation(
    path: Path | str, pictures: Sequence[Path | str], seconds: float = 0.25
) -> None:
    """Write an animated GIF of pictures; the last one is shown longer.

    Args:
        path: The file to write.
        pictures: PNG files of equal size, as written by `draw_images`; at least one.
        seconds: Time to show each picture, at least 0.01.

    Raises:
        ValueError: If there are no pictures.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     one, both = Path(folder) / "a.png", Path(folder) / "both.gif"
        ...     draw_images(one, np.zeros((4, 8, 8, 1)))
        ...     draw_animation(both, [one, one])
        ...     both.read_bytes()[:3]
        b'GIF'
    """
    if not pictures:
        raise ValueError("an animation needs at least one picture: pictures is empty.")
    frames = []
    for picture in pictures:
        with Image.open(picture) as opened:
            frames.append(opened.copy())
    milliseconds = [round(1000 * seconds)] * (len(frames) - 1) + [2000]
    content = io.BytesIO()
    frames[0].save(
        content,
        "gif",
        save_all=True,
        append_images=frames[1:],
        duration=milliseconds,
        loop=0,
    )
    write_whole(path, content.getbuffer())


def _grid(
    images: Shaped[Array, "count height width channels"], columns: int | None
) -> UInt8[np.ndarray, "rows columns channels"]:
    count, height, width, channels = images.shape
    if not count or channels not in (1, 3):
        raise ValueError(
            f"images of shape {images.shape} cannot be drawn: pass at least one, with "
            "1 channel (gray) or 3 (color), as (count, height, width, channels)."
        )
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = -(-count // columns)
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8:
        pixels = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    pixels = enlarged(pixels, enlargement(height, width))
    height, width = pixels.shape[1] + _GAP, pixels.shape[2] + _GAP
    # On a gray background, both dark and bright images stand out.
    grid = np.full((rows * height + _GAP, columns * width + _GAP, channels), 128)
    for index, image in enumerate(pixels):
        top, left = (
            _GAP + side * step
            for side, step in zip(divmod(index, columns), (height, width), strict=True)
        )
        grid[top : top + height - _GAP, left : left + width - _GAP] = image
    return grid.astype(np.uint8)
