"""Picture files, decoded as a viewer shows them."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError
from fdl.data.png import require_whole
from fdl.data.room import Room
from fdl.untrusted import read_bytes, reason

FORMATS = ("PNG", "JPEG", "WebP", "BMP", "GIF")
"""Supported formats; detected from the content of a file, not from its name."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
"""Suffixes of such files, in lower case."""

MOST_PIXELS = 50_000_000
"""Largest width times height of a picture: decoding WebP takes 20 bytes per pixel."""

_MOST_BYTES = 1 << 28  # of a file
_MOST_READS = 200_000  # a PNG file of 256 MiB takes 100,000
_MOST_SCANS = 2_000_000_000  # pixels of all scans of a JPEG file; about 10 are usual
_BAND = 1 << 20  # pixels to convert to gray or color at a time
_SCAN = b"\xff\xda"  # start of a scan of JPEG
_ORIENTATION = 0x0112  # number of the EXIF tag
_LYING = (5, 6, 7, 8)  # orientations of pictures whose height is stored as their width
_TURNS: dict[Any, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""Transformation for each orientation."""

_T = TypeVar("_T")
_room = Room(MOST_PIXELS)

Picture = UInt8[np.ndarray, "_ _ _"]
"""An image `(height, width, channels)`, with 1 or 3 channels."""


def read_picture(path: Path | str, channels: int) -> Picture:
    """Read a PNG, JPEG, WebP, BMP or GIF file.

    The EXIF orientation is applied; other EXIF data, damaged or not, are ignored.
    Transparency becomes white, 16 bits per pixel become 8, and CMYK and palettes become
    red, green and blue. Of an animation, the first frame is read.

    Args:
        path: The file.
        channels: 1 for gray, 3 for color.

    Raises:
        DataError: If the file cannot be read, is damaged or cut short, or has more than
            50 million pixels.

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
        name: Name in error messages.

    Raises:
        DataError: See `read_picture`.
    """
    with strictly():
        return decode(content, channels, name)


@contextlib.contextmanager
def strictly() -> Iterator[None]:
    """Suppress Pillow's warnings about harmless damage and about sizes.

    Warning filters belong to the whole process, so threads that call `read` and
    `read_size` share one such block.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def of_few_pixels() -> Iterator[None]:
    """Make Pillow reject pictures of more than `MOST_PIXELS`, also within libraries."""
    from PIL import Image

    usual = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # it raises an error above twice as many
    try:
        with strictly():
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def read(path: Path | str, channels: int) -> Picture:
    """Read a picture like `read_picture`; for use within `strictly`."""
    return decode(_content(path), channels, str(path))


def read_size(path: Path | str) -> tuple[int, int]:
    """Return height and width of a picture as displayed; for use within `strictly`.

    Raises:
        DataError: If the file is not a picture; its pixels are not checked.
    """
    return size_of(_content(path), str(path))


def size_of(content: bytes, name: str) -> tuple[int, int]:
    """Return height and width like `read_size`, from the content of a file."""

    def size(picture: Any) -> tuple[int, int]:
        width, height = picture.size
        turned = _turn(picture) in _LYING
        return (width, height) if turned else (height, width)

    return _opened(content, size, name)


class _LimitedReads(io.BytesIO):
    """The content of a file, with a limit on the number of reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MOST_READS:
            raise OSError(f"it has more than {_MOST_READS:,} pieces")
        return super().read(size)


def _content(path: Path | str) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def decode(content: bytes, channels: int, name: str) -> Picture:
    """Decode a picture like `decode_picture`; for use within `strictly`."""

    def pixels(picture: Any) -> Picture:
        if picture.format == "PNG":
            require_whole(content)
        elif picture.format in ("JPEG", "MPO"):
            scans = content.count(_SCAN)
            if scans * picture.width * picture.height > _MOST_SCANS:
                raise ValueError(f"it has {scans:,} scans, more than its size allows")
        share = 1 if picture.format == "WEBP" else 2  # others take half the memory
        with _room.taken(picture.width * picture.height // share):
            picture.load()
            turn = _TURNS.get(_turn(picture), lambda pixels: pixels)
            return np.ascontiguousarray(turn(_pixels(picture, channels)))

    return _opened(content, pixels, name)


def _opened(content: bytes, use: Callable[[Any], _T], name: str) -> _T:
    from PIL import Image, UnidentifiedImageError

    formats = [name.upper() for name in FORMATS]
    try:
        with Image.open(_LimitedReads(content), formats=formats) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise Image.DecompressionBombError
            if width * height == 0:
                raise ValueError("it has no pixels")
            return use(picture)
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name} cannot be read: its content is not that of a picture "
            f"({', '.join(FORMATS)}); its suffix {Path(name).suffix!r} is ignored."
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name} has more than {MOST_PIXELS:,} pixels: make it smaller."
        ) from error
    except Exception as error:
        # Pillow's decoders fail on damaged files in many ways that all mean the same.
        raise DataError(f"{name} cannot be read: {reason(error)}.") from error


def _turn(picture: Any) -> Any:
    """Return the EXIF orientation, if it can be read."""
    try:
        return picture.getexif().get(_ORIENTATION)
    except Exception:
        # Damaged EXIF data fail in many ways, while the pixels are intact.
        # (ImageOps.exif_transpose rewrites the tags, and so fails on any bad one.)
        return None


def _pixels(picture: Any, channels: int) -> Picture:
    width, height = picture.size
    pixels = np.empty((height, width, channels), np.uint8)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = picture.crop((0, top, width, bottom))
        pixels[top:bottom] = _colored(band, channels)
    return pixels


def _colored(picture: Any, channels: int) -> Picture:
    """Convert a picture to gray or color, as it looks on white."""
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits per pixel
        wide = np.asarray(picture).astype(np.float32)
        gray = np.rint(wide / 257).clip(0, 255).astype(np.uint8)
        return gray[..., None].repeat(channels, axis=2)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)
