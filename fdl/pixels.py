"""Picture files: their formats, and writing of pixels."""

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

_READABLE = 84  # least pixels of the longer side of an image shown to people

_format: ContextVar[PictureFormat] = ContextVar("picture_format", default="png")


@contextlib.contextmanager
def picture_format(format: PictureFormat) -> Iterator[None]:
    """Set the format of the pictures that are drawn within the block.

    A file name with a suffix keeps its format.

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
    """Return the format in which pictures are drawn now."""
    return _format.get()


def picture_file(path: Path | str) -> Path:
    """Return the path of a picture, with a suffix added if it has none.

    Raises:
        ValueError: If the suffix is not that of a known format.
    """
    path = Path(path)
    if not path.suffix:
        return path.with_name(f"{path.name}.{_format.get()}")
    if path.suffix[1:] not in PICTURE_FORMATS:
        endings = ", ".join(f".{name}" for name in PICTURE_FORMATS)
        raise ValueError(f"{path} must end with one of {endings}.")
    return path


def enlargement(height: int, width: int) -> int:
    """Return the factor by which to enlarge an image so that people recognize it.

    Example:
        >>> enlargement(28, 28), enlargement(8, 8), enlargement(256, 256)
        (3, 11, 1)
    """
    return -(-_READABLE // max(height, width))


def enlarged(
    pixels: Shaped[np.ndarray, "... height width channels"], factor: int
) -> Shaped[np.ndarray, "... rows columns channels"]:
    """Enlarge images by an integer factor, repeating each pixel.

    Example:
        >>> enlarged(np.zeros((5, 28, 28, 1)), 3).shape
        (5, 84, 84, 1)
    """
    return pixels.repeat(factor, axis=-3).repeat(factor, axis=-2)


def write_pixels(
    path: Path | str, pixels: UInt8[np.ndarray, "height width channels"]
) -> None:
    """Write gray or color pixels as a picture, atomically.

    Args:
        path: The file; its suffix sets the format: `.png`, `.svg` or `.pdf`.
        pixels: The pixels, with 1 or 3 channels.

    Raises:
        ValueError: If the suffix is not that of a known format.
    """
    from PIL import Image  # needed only here

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
