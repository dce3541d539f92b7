"""Images that users bring: read from files and brought to the form of a data set."""

import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError
from fdl.data.pictures import Picture, read_picture

Polarity = Literal["auto", "light-on-dark", "dark-on-light"]

_LEAST_CONTRAST = 32  # of 255; every MNIST and Fashion-MNIST image has at least 64
_DARK, _LIGHT = 96, 160  # a background between these could be either
_MOST_BYTES = 2**31  # of an array in an archive, once it is unpacked
_COLORS = (1, 3, 4)  # lengths of an axis of channels


def read_images(
    path: Path | str, shape: tuple[int, ...], *, polarity: Polarity = "auto"
) -> UInt8[np.ndarray, "images height width channels"]:
    """Read a picture or a NumPy file as images like those of MNIST: light on dark.

    An image of another size is padded to the shape of the target with its background,
    then resized. Pictures are read as by `read_picture`; where gray is wanted, colors
    become gray, and where color is wanted, gray becomes color.

    Args:
        path: A PNG, JPEG, WebP, BMP, GIF, `.npy` or `.npz` file, told by its content.
            An array is uint8, floats in [0, 1] or booleans. It holds one image,
            `(height, width)` or `(height, width, channels)`, or several, `(images,
            height, width)` or `(images, height, width, channels)`, with 1, 3 or 4
            channels, the fourth for opacity. Channels may come before the height, but
            for one image only where color is wanted: where gray is wanted, `(3,
            height, width)` are three images.
        shape: Height, width and channels to give, 1 or 3.
        polarity: What the file shows; `"dark-on-light"` is inverted. `"auto"` judges by
            the four corners of each image.

    Raises:
        DataError: If the file cannot be read or holds no such image, or an image is
            nearly uniform, or its background is neither dark nor light, or nothing is
            left of it in the size to give.

    Example:
        >>> import tempfile
        >>> ink = np.full((56, 56), 255, np.uint8)
        >>> ink[16:40, 24:32] = 0
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "one.npy", ink)
        ...     images = read_images(Path(folder) / "one.npy", (28, 28, 1))
        >>> images.shape, int(images[0, 0, 0, 0]), int(images[0, 14, 14, 0])
        ((1, 28, 28, 1), 0, 255)
    """
    path = Path(path)
    height, width, channels = shape
    if not path.is_file():
        raise DataError(
            f"{path} is not a file: give picture files (PNG, JPEG, WebP, BMP, GIF), or "
            ".npy or .npz files."
        )
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"\x93NUMPY") or head.startswith(b"PK"):
        images = _images(path, _read_array(path, head), channels)
    else:
        images = [read_picture(path, channels)]
    return np.stack([_normalize(path, x, (height, width), polarity) for x in images])


def _read_array(path: Path, head: bytes) -> np.ndarray:
    """Return the array of a .npy file, or the only one of an .npz file."""
    try:
        if not head.startswith(b"PK"):
            # Mapped, so that a header cannot ask for more memory than the file has.
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(member.filename for member in members)
            raise DataError(
                f"{path} holds {len(members)} arrays ({names}): save the images alone."
            )
        if members[0].file_size > _MOST_BYTES:
            raise DataError(
                f"{path} holds {members[0].file_size:,} bytes once unpacked, more than "
                f"{_MOST_BYTES:,}: save fewer images at a time."
            )
        with np.load(path, allow_pickle=False) as arrays:
            (array,) = arrays.values()
    except DataError:
        raise
    except Exception as error:
        # A damaged file fails in many ways, all of which mean the same.
        raise DataError(
            f"{path} cannot be read as an array of numbers: {error}"
        ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} cannot be read: it is an archive without an array.")
    return array


def _images(path: Path, array: np.ndarray, channels: int) -> list[Picture]:
    """Return the images of an array with so many channels."""
    found = f"{path} holds {array.dtype}{list(array.shape)}"
    array = _bytes(found, array)
    if array.ndim == 2:
        array = array[None, ..., None]
    elif array.ndim == 3 and array.shape[2] in _COLORS:
        array = array[None]
    elif array.ndim == 3 and channels == 3 and array.shape[0] in _COLORS:
        array = np.moveaxis(array, 0, -1)[None]
    elif array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[3] not in _COLORS:
        array = np.moveaxis(array, 1, -1)
    if array.ndim != 4 or 0 in array.shape or array.shape[3] not in _COLORS:
        raise DataError(
            f"{found}: expected one image, (height, width) or (height, width, "
            "channels), or several with one more axis in front, and 1, 3 or 4 channels."
        )
    if array.shape[3] == channels:
        return list(array)
    return [_recolored(image, channels) for image in array]


def _bytes(found: str, array: np.ndarray) -> UInt8[np.ndarray, "..."]:
    """Return pixels of another type as uint8."""
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
    return np.rint(array.astype(np.float32) * 255).astype(np.uint8)


def _recolored(image: Picture, channels: int) -> Picture:
    """Return an image with so many channels, as it looks on white."""
    from PIL import Image

    if image.shape[2] == 1:
        return image.repeat(channels, axis=2)
    picture = Image.fromarray(image)
    if image.shape[2] == 4:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _normalize(
    path: Path, image: Picture, size: tuple[int, int], polarity: Polarity
) -> Picture:
    if _contrast(image) < _LEAST_CONTRAST:
        raise DataError(
            f"{path} is nearly uniform (its values span {_contrast(image)} of 255): "
            "there is nothing to recognize in it."
        )
    background = _background(image)
    if polarity == "auto":
        if _DARK < background < _LIGHT:
            raise DataError(
                f"{path} has a background of {background} of 255, neither dark nor "
                "light: give --polarity light-on-dark or dark-on-light."
            )
        polarity = "light-on-dark" if background <= _DARK else "dark-on-light"
    if polarity == "dark-on-light":
        image, background = 255 - image, 255 - background
    if image.shape[:2] == size:
        return image
    resized = pad_to(image, size, background)
    if _contrast(resized) < _LEAST_CONTRAST:
        height, width = image.shape[:2]
        raise DataError(
            f"{path} is {width}x{height}, and nothing is left of it in {size[1]}x"
            f"{size[0]}: crop it to what is to be recognized."
        )
    return resized


def pad_to(
    image: Picture, size: tuple[int, int], background: int | None = None
) -> Picture:
    """Return an image, scaled to fit into a size, in the middle of its background.

    Args:
        image: The image.
        size: Height and width to give.
        background: Brightness around it; None for the median of its corners.

    Example:
        >>> pad_to(np.full((20, 40, 3), 7, np.uint8), (8, 8)).shape
        (8, 8, 3)
    """
    from PIL import Image

    background = _background(image) if background is None else background
    scale = min(new / old for new, old in zip(size, image.shape, strict=False))
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    channels = image.shape[2]
    picture = Image.fromarray(image if channels == 3 else image[..., 0])
    scaled = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    padded = np.full((*size, channels), background, np.uint8)
    window = padded[top : top + height, left : left + width]
    window[:] = scaled.reshape(window.shape)
    return padded


def _contrast(image: Picture) -> int:
    return int(image.max()) - int(image.min())


def _background(image: Picture) -> int:
    """Return the median of the four corners, each a ninth of the image wide."""
    rows, columns = (max(1, n // 9) for n in image.shape[:2])
    corners = [
        part.ravel()
        for band in (image[:rows], image[-rows:])
        for part in (band[:, :columns], band[:, -columns:])
    ]
    return int(np.median(np.concatenate(corners)))
