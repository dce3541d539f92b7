"""Images in NumPy files, of various shapes and dtypes."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError
from fdl.data.numpy_files import read_arrays
from fdl.data.pictures import Picture
from fdl.untrusted import shortened

_MOST_IMAGES = 100_000  # in a file, since each is processed by itself
COLORS = (1, 3, 4)
"""Possible numbers of channels; the fourth is opacity."""


def read_image_array(path: Path, channels: int) -> list[Picture]:
    """Read the images of a .npy file, or of an .npz file with one array.

    The array is uint8, floats in [0, 1] or booleans. It holds one image, `(height,
    width)` or `(height, width, channels)`, or several, `(images, height, width)` or
    `(images, height, width, channels)`, with 1, 3 or 4 channels, the fourth for
    opacity. Channels may also precede the height; for a single image, only if
    `channels` is 3: otherwise, `(3, height, width)` are three images.

    Args:
        path: The file; its content tells which of the two formats it has.
        channels: 1 for gray, 3 for color.

    Raises:
        DataError: If the file cannot be read or holds no such images. Python objects
            are never unpickled.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "two.npy"
        ...     np.save(file, np.zeros((2, 3, 28, 28), np.uint8))
        ...     [image.shape for image in read_image_array(file, 1)]
        [(28, 28, 1), (28, 28, 1)]
    """
    array = read_array(path)
    found = f"{path} holds {array.dtype}{list(array.shape)}"
    array = as_bytes(found, array)
    if array.ndim == 2:
        array = array[None, ..., None]
    elif array.ndim == 3 and array.shape[2] in COLORS:
        array = array[None]
    elif array.ndim == 3 and channels == 3 and array.shape[0] in COLORS:
        array = np.moveaxis(array, 0, -1)[None]
    elif array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[3] not in COLORS:
        array = np.moveaxis(array, 1, -1)
    if array.ndim != 4 or 0 in array.shape or array.shape[3] not in COLORS:
        raise DataError(
            f"{found}: expected one image, (height, width) or (height, width, "
            "channels), or several with one more axis in front, and 1, 3 or 4 channels."
        )
    if len(array) > _MOST_IMAGES:
        raise DataError(f"{found}: save at most {_MOST_IMAGES:,} images in a file.")
    return [recolored(image, channels) for image in array]


def read_array(path: Path) -> np.ndarray:
    """Return the array of a .npy file, or the only one of an .npz file."""
    arrays = read_arrays(path)
    if len(arrays) != 1:
        raise DataError(
            f"{path} holds {len(arrays)} arrays ({shortened(', '.join(arrays))}): save "
            "the images alone."
        )
    (array,) = arrays.values()
    return array


def as_bytes(found: str, array: np.ndarray) -> UInt8[np.ndarray, "..."]:
    """Convert pixels to uint8; `found` is the beginning of error messages."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{found}: use uint8 in 0..255, floating point in [0, 1], or booleans."
        )
    if array.size and not (
        np.isfinite(array).all() and 0 <= array.min() <= array.max() <= 1
    ):
        raise DataError(
            f"{found} with values from {array.min()} to {array.max()}: floating point "
            "pixels must lie in [0, 1]; divide them by their largest possible value, "
            "such as 255."
        )
    scaled = array.astype(np.float32)
    scaled *= 255
    return np.rint(scaled, out=scaled).astype(np.uint8)


def recolored(image: UInt8[np.ndarray, "_ _ _"], channels: int) -> Picture:
    """Convert an image of 1, 3 or 4 channels to gray or color, as it looks on white."""
    from PIL import Image

    if image.shape[2] == channels:
        return image
    if image.shape[2] == 1:
        return image.repeat(channels, axis=2)
    picture = Image.fromarray(image)
    if image.shape[2] == 4:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)
