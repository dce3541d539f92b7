"""Images that users bring: read from files and brought to the form of a data set."""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError

Polarity = Literal["auto", "light-on-dark", "dark-on-light"]

_LEAST_CONTRAST = 32  # of 255; every MNIST and Fashion-MNIST image has at least 64
_DARK, _LIGHT = 96, 160  # a background between these could be either


def read_images(
    path: Path, shape: tuple[int, ...], *, polarity: Polarity = "auto"
) -> UInt8[np.ndarray, "images height width channels"]:
    """Read a PNG, JPEG or NumPy file as images like those of MNIST: light on dark.

    An image of another size is padded to the shape of the target with its background,
    then resized. Colors become gray; transparency becomes white.

    Args:
        path: A `.png`, `.jpg`, `.jpeg` or `.npy` file. An array holds one image or
            several, `([images,] height, width[, 1])`, uint8 or floats in [0, 1].
        shape: Height, width and channels to give; one channel.
        polarity: What the file shows; `"dark-on-light"` is inverted. `"auto"` judges by
            the four corners of each image.

    Raises:
        DataError: If the file cannot be read or holds no such image, or an image is
            nearly uniform, or its background is neither dark nor light.

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
    if not path.is_file():
        raise DataError(f"{path} is not a file: give PNG, JPEG or .npy files.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        images = _read_array(path)
    elif suffix in (".png", ".jpg", ".jpeg"):
        images = [_read_picture(path)]
    else:
        raise DataError(f"{path} has the ending {suffix!r}: use .png, .jpg or .npy.")
    ready = [
        _normalize(path, image, (shape[0], shape[1]), polarity) for image in images
    ]
    return np.stack(ready)[..., None]


def _read_array(path: Path) -> list[UInt8[np.ndarray, "height width"]]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a NumPy array: {error}") from error
    found = f"{path} holds {array.dtype}{list(array.shape)}"
    if array.ndim >= 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(
            f"{found}: expected one image (height, width) or several (images, height, "
            "width), with or without a last axis of one channel."
        )
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"{found}: use uint8, or floating point in [0, 1].")
        if not (np.isfinite(array).all() and 0 <= array.min() <= array.max() <= 1):
            raise DataError(
                f"{found} with values from {array.min()} to {array.max()}: floating "
                "point pixels must lie in [0, 1]; divide them by their largest value."
            )
        array = np.rint(array * 255).astype(np.uint8)
    return list(array.reshape(-1, *array.shape[-2:]))


def _read_picture(path: Path) -> UInt8[np.ndarray, "height width"]:
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I"):  # 16 bits a pixel
                return (np.asarray(upright) // 257).astype(np.uint8)
            if upright.has_transparency_data:
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright.convert("RGBA"))
            return np.asarray(upright.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as PNG or JPEG: {error}") from error


def _normalize(
    path: Path,
    image: UInt8[np.ndarray, "height width"],
    size: tuple[int, int],
    polarity: Polarity,
) -> UInt8[np.ndarray, "new_height new_width"]:
    from PIL import Image, ImageOps

    contrast = int(image.max()) - int(image.min())
    if contrast < _LEAST_CONTRAST:
        raise DataError(
            f"{path} is nearly uniform (its values span {contrast} of 255): there is "
            "nothing to recognize in it."
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
    if image.shape == size:
        return image
    picture = ImageOps.pad(
        Image.fromarray(image),
        (size[1], size[0]),
        Image.Resampling.BICUBIC,
        color=background,
    )
    return np.asarray(picture)


def _background(image: UInt8[np.ndarray, "height width"]) -> int:
    """Return the median of the four corners, each a ninth of the image wide."""
    rows, columns = (max(1, n // 9) for n in image.shape)
    top, bottom = image[:rows], image[-rows:]
    corners = [
        part.ravel()
        for band in (top, bottom)
        for part in (band[:, :columns], band[:, -columns:])
    ]
    return int(np.median(np.concatenate(corners)))
