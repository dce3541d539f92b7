"""Files of pictures: their formats, and pictures that are made of pixels."""

import base64
import contextlib
import io
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from fdl.files import write_whole
from fdl.plain import PICTURE_FORMATS, PictureFormat

_READABLE = 84  # pixels of the longer side of an image that people are to recognize

_format: ContextVar[PictureFormat] = ContextVar("picture_format", default="png")


@contextlib.contextmanager
def picture_format(format: PictureFormat) -> Iterator[None]:
    """Let pictures that are drawn meanwhile have another format than PNG.

    Files whose name says the format are as it says.

    Example:
        >>> with picture_format("svg"):
        ...     picture_file("curves").name, picture_file("curves.pdf").name
        ('curves.svg', 'curves.pdf')
    """
    token = _format.set(format)
    try:
        yield
    finally:
        _format.reset(token)


def current_format() -> PictureFormat:
    """Return the format of pictures that are drawn now."""
    return _format.get()


def picture_file(path: Path | str) -> Path:
    """Return the file of a picture: with an ending, if it has none.

    Raises:
        ValueError: If its ending is that of no format.
    """
    path = Path(path)
    if not path.suffix:
        return path.with_name(f"{path.name}.{_format.get()}")
    if path.suffix[1:] not in PICTURE_FORMATS:
        endings = ", ".join(f".{name}" for name in PICTURE_FORMATS)
        raise ValueError(f"{path} must end with one of {endings}.")
    return path


def enlargement(height: int, width: int) -> int:
    """Return how much pixels are enlarged, so that people recognize an image.

    Example:
        >>> enlargement(28, 28), enlargement(8, 8), enlargement(256, 256)
        (3, 11, 1)
    """
    return -(-_READABLE // max(height, width))


def enlarged(
    pixels: Shaped[np.ndarray, "... height width channels"], factor: int
) -> Shaped[np.ndarray, "... rows columns channels"]:
    """Return images with so many pixels a side for each.

    Example:
        >>> enlarged(np.zeros((5, 28, 28, 1)), 3).shape
        (5, 84, 84, 1)
    """
    return pixels.repeat(factor, axis=-3).repeat(factor, axis=-2)


def write_pixels(
    path: Path | str, pixels: UInt8[np.ndarray, "height width channels"]
) -> None:
    """Write a picture of gray or colored pixels, whole or not at all.

    Args:
        path: The file; its ending is the format, `.png`, `.svg` or `.pdf`.
        pixels: The picture.

    Raises:
        ValueError: If no format has the ending.
    """
    from PIL import Image  # wanted only here

    path = picture_file(path)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, "pdf" if path.suffix == ".pdf" else "png")
    content = buffer.getvalue()
    if path.suffix == ".svg":
        data = base64.b64encode(content).decode()
        width, height = image.size
        content = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}"><image width="{width}" height="{height}" '
            f'href="data:image/png;base64,{data}"/></svg>\n'
        ).encode()
    write_whole(path, content)
