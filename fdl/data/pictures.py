"""Picture files, decoded to what a viewer shows of them."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError

FORMATS = ("PNG", "JPEG", "WebP", "BMP", "GIF")
"""Formats that are read; told by the content of a file, not by its name."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
"""What the names of such files end with, in lower case."""

_ORIENTATION = 0x0112  # number of the EXIF tag
_LYING = (5, 6, 7, 8)  # orientations of pictures whose height is stored as their width

_T = TypeVar("_T")

Picture = UInt8[np.ndarray, "_ _ _"]
"""Height, width and channels, of which there are 1 or 3."""


def read_picture(path: Path | str, channels: int) -> Picture:
    """Read a PNG, JPEG, WebP, BMP or GIF file.

    It is turned as its EXIF orientation says; other EXIF data, damaged or not, have no
    influence. Transparency becomes white, 16 bits a pixel become 8, and CMYK and
    palettes become red, green and blue. Of an animation, the first picture is taken.

    Args:
        path: The file.
        channels: 1 for gray, 3 for color.

    Raises:
        DataError: If the file cannot be read, is damaged or cut short, or has more than
            89 million pixels.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "red.png"
        ...     Image.new("RGB", (30, 20), "red").save(file)
        ...     read_picture(file, 3).shape, int(read_picture(file, 1)[0, 0, 0])
        ((20, 30, 3), 76)
    """
    with strictly():
        return read(path, channels)


def decode_picture(content: bytes, channels: int, *, name: str) -> Picture:
    """Decode the content of a picture file; see `read_picture`.

    Args:
        content: The bytes of the file.
        channels: 1 for gray, 3 for color.
        name: What to call it in errors.

    Raises:
        DataError: See `read_picture`.
    """
    with strictly():
        return decode(content, channels, name)


@contextlib.contextmanager
def strictly() -> Iterator[None]:
    """Hold back Pillow's warnings, but for that of the size, which becomes an error.

    Of damage that does no harm here Pillow warns. Filters of warnings belong to the
    whole process, so threads that call `read` and `read_size` share one such block.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read(path: Path | str, channels: int) -> Picture:
    """As `read_picture`, within `strictly`."""
    return decode(_content(path), channels, str(path))


def read_size(path: Path | str) -> tuple[int, int]:
    """Return height and width of a picture as it is shown, within `strictly`.

    Raises:
        DataError: If the file is no picture; whether its pixels are good stays open.
    """
    return size_of(_content(path), str(path))


def size_of(content: bytes, name: str) -> tuple[int, int]:
    """As `read_size`, of the content of a file."""

    def size(picture: Any) -> tuple[int, int]:
        width, height = picture.size
        turned = _turn(picture) in _LYING
        return (width, height) if turned else (height, width)

    return _opened(content, size, name)


def _content(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def decode(content: bytes, channels: int, name: str) -> Picture:
    """As `decode_picture`, within `strictly`."""

    def pixels(picture: Any) -> Picture:
        picture.load()
        return _pixels(_upright(picture), channels)

    found = _opened(content, pixels, name)
    if found.size == 0:
        raise DataError(f"{name} cannot be read: it has no pixels.")
    return found


def _opened(content: bytes, use: Callable[[Any], _T], name: str) -> _T:
    from PIL import Image, UnidentifiedImageError

    formats = [name.upper() for name in FORMATS]
    try:
        with Image.open(io.BytesIO(content), formats=formats) as picture:
            return use(picture)
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name} cannot be read: its content is not that of a picture "
            f"({', '.join(FORMATS)}), and the ending {Path(name).suffix!r} does "
            "not matter."
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels: make it smaller."
        ) from error
    except Exception as error:
        # Pillow's decoders fail on damaged files in many ways, all of which mean the
        # same.
        raise DataError(f"{name} cannot be read: {error}.") from error


def _upright(picture: Any) -> Any:
    """Turn a picture as its EXIF orientation says, if that can be read."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_turn(picture))
    return picture if turn is None else picture.transpose(turn)


def _turn(picture: Any) -> Any:
    """Return the EXIF orientation, if it can be read."""
    try:
        return picture.getexif().get(_ORIENTATION)
    except Exception:
        # Damaged EXIF data fail in many ways, and the pixels are good all the same.
        # (ImageOps.exif_transpose writes them anew, and so fails on any tag of them.)
        return None


def _pixels(picture: Any, channels: int) -> Picture:
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits a pixel
        wide = np.asarray(picture).astype(np.float32)
        gray = np.rint(wide / 257).clip(0, 255).astype(np.uint8)
        return gray[..., None].repeat(channels, axis=2)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)
