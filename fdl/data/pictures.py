"""Picture files, decoded to what a viewer shows of them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError

FORMATS = ("PNG", "JPEG", "WebP", "BMP", "GIF")
"""Formats that are read; told by the content of a file, not by its name."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
"""What the names of such files end with, in lower case."""

_ORIENTATION = 0x0112  # number of the EXIF tag

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
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    return decode_picture(content, channels, name=str(path))


def decode_picture(content: bytes, channels: int, *, name: str) -> Picture:
    """Decode the content of a picture file; see `read_picture`.

    Args:
        content: The bytes of the file.
        channels: 1 for gray, 3 for color.
        name: What to call it in errors.

    Raises:
        DataError: See `read_picture`.
    """
    import io

    from PIL import Image, UnidentifiedImageError

    formats = [name.upper() for name in FORMATS]
    with warnings.catch_warnings():
        # Pillow warns of damage that does no harm here; size is the exception.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(content), formats=formats) as picture:
                picture.load()
                pixels = _pixels(_upright(picture), channels)
        except UnidentifiedImageError as error:
            raise DataError(
                f"{name} cannot be read: its content is not that of a picture "
                f"({', '.join(FORMATS)}), and the ending {Path(name).suffix!r} does "
                "not matter."
            ) from error
        except (
            Image.DecompressionBombWarning,
            Image.DecompressionBombError,
        ) as error:
            raise DataError(
                f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels: make it "
                "smaller."
            ) from error
        except Exception as error:
            # Pillow's decoders fail on damaged files in many ways, all of which mean
            # the same.
            raise DataError(f"{name} cannot be read: {error}.") from error
    if pixels.size == 0:
        raise DataError(f"{name} cannot be read: it has no pixels.")
    return pixels


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
    try:
        turn = turns.get(picture.getexif().get(_ORIENTATION))
    except Exception:
        # Damaged EXIF data fail in many ways, and the pixels are good all the same.
        # (ImageOps.exif_transpose writes them anew, and so fails on any tag of them.)
        return picture
    return picture if turn is None else picture.transpose(turn)


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
