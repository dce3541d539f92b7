"""Users' images, read from files and converted to the form of a dataset."""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError
from fdl.data.dataset import DatasetInfo
from fdl.data.image_arrays import COLORS, as_bytes, read_image_array, recolored
from fdl.data.numpy_files import STARTS
from fdl.data.pictures import Picture, read_picture
from fdl.plain import Fit as Fit

Polarity = Literal["auto", "light-on-dark", "dark-on-light"]

_LEAST_CONTRAST = 32  # of 255; every MNIST and Fashion-MNIST image has at least 64
_DARK, _LIGHT = 96, 160  # a background between these is ambiguous


def read_images(
    path: Path | str,
    shape: tuple[int, ...],
    *,
    polarity: Polarity = "auto",
    fit: Fit = "pad",
) -> UInt8[np.ndarray, "images height width channels"]:
    """Read a picture or a NumPy file as images like those of MNIST: light on dark.

    Color is converted to gray, or gray to color, as `shape` requires.

    Args:
        path: A PNG, JPEG, WebP, BMP, GIF, `.npy` or `.npz` file, recognized by its
            content; see `read_picture` and `fdl.data.image_arrays`.
        shape: Height, width and channels of the result; 1 or 3 channels.
        polarity: Polarity of the file; `"dark-on-light"` is inverted. `"auto"` judges
            by the four corners of each image, or when framing a digit, by what stands
            out.
        fit: What to do with an image of another size: `"pad"` shows all of it on its
            background, `"crop"` fills the size with its middle, and `"digit"` frames
            the digit in a photograph as MNIST does; see `fdl.data.digits`.

    Raises:
        DataError: If the file cannot be read or holds no such image; or an image is
            nearly uniform, has a background that is neither dark nor light, vanishes
            when resized, or shows no digit.

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
    if fit == "digit" and channels != 1:
        raise DataError(
            f"fit='digit' makes gray images, not {channels} channels: use 'pad' or "
            "'crop'."
        )
    if not path.is_file():
        raise DataError(
            f"{path} is not a file: give picture files (PNG, JPEG, WebP, BMP, GIF), or "
            ".npy or .npz files."
        )
    with path.open("rb") as file:
        is_array = file.read(6).startswith(STARTS)
    images = (
        read_image_array(path, channels) if is_array else [read_picture(path, channels)]
    )
    return np.stack([_fitted(path, x, (height, width), polarity, fit) for x in images])


def read_images_like(
    path: Path | str,
    info: DatasetInfo,
    *,
    polarity: Polarity = "auto",
    fit: Fit | Literal["auto"] = "auto",
) -> UInt8[np.ndarray, "images height width channels"]:
    """Read a picture or a NumPy file in the form of a dataset's images, to predict.

    Args:
        path: See `read_images`.
        info: Description of the dataset, such as that of a run.
        polarity: See `read_images`; if the images of the dataset are not all light on
            dark, `"auto"` leaves pixels as they are.
        fit: See `read_images`; `"auto"` uses `info.fit`.

    Raises:
        DataError: See `read_images`.
    """
    if polarity == "auto" and not info.light_on_dark:
        polarity = "light-on-dark"
    if fit == "auto":
        fit = info.fit
    return read_images(path, info.input_shape, polarity=polarity, fit=fit)


def _fitted(
    path: Path, image: Picture, size: tuple[int, int], polarity: Polarity, fit: Fit
) -> Picture:
    if _contrast(image) < _LEAST_CONTRAST:
        raise DataError(
            f"{path} is nearly uniform (its values span {_contrast(image)} of 255): "
            "there is nothing to recognize in it."
        )
    if fit == "digit" and image.shape[:2] != size:
        return _digit(path, image, size, polarity)
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
    resized = resize(image, size, "crop" if fit == "crop" else "pad", background)
    if _contrast(resized) < _LEAST_CONTRAST:
        height, width = image.shape[:2]
        raise DataError(
            f"{path} is {width}x{height}, and nothing is left of it in {size[1]}x"
            f"{size[0]}: crop it to the part to recognize."
        )
    return resized


def _digit(
    path: Path, image: Picture, size: tuple[int, int], polarity: Polarity
) -> Picture:
    from fdl.data.digits import frame_digit  # imports scipy, needed only here

    dark = None if polarity == "auto" else polarity == "dark-on-light"
    framed = frame_digit(image[..., 0], size, dark=dark)
    if framed is None:
        raise DataError(
            f"{path} shows no digit: nothing stands out from its background. Give "
            "--fit pad to read the image as it is."
        )
    return framed[..., None]


def bring(
    image: UInt8[np.ndarray, "_ _ _"], size: tuple[int, int], channels: int
) -> Picture:
    """Convert an image of 1, 3 or 4 channels to a size, and to gray or color."""
    image = recolored(image, channels)
    return image if image.shape[:2] == size else fit_picture(image, size)


def bring_all(
    found: str, images: np.ndarray, size: tuple[int, int] | None, channels: int | None
) -> np.ndarray:
    """Convert an array of images to a size, and to gray or color.

    Images that match already stay as they are; others become uint8.

    Args:
        found: Beginning of error messages.
        images: The images, `(batch, height, width[, channels])`; arrays of other shapes
            are returned unchanged.
        size: Height and width; None for their own.
        channels: 1 for gray, 3 for color; None for their own.

    Raises:
        DataError: If the images cannot be converted.

    Example:
        >>> bring_all("pets", np.zeros((5, 9, 9), np.uint8), (8, 8), 3).shape
        (5, 8, 8, 3)
    """
    if images.ndim not in (3, 4) or not len(images):
        return images
    height, width, depth = (*images.shape, 1)[1:4]
    wanted = size or (height, width)
    colors = channels or depth
    if (*wanted, colors) == (height, width, depth):
        return images
    if depth not in COLORS:
        raise DataError(
            f"{found}: its images have {depth} channels, but only 1, 3 or 4 can be "
            f"converted to {colors}."
        )
    pixels = as_bytes(found, images).reshape(len(images), height, width, depth)
    return np.stack([bring(image, wanted, colors) for image in pixels])


def fit_picture(image: Picture, size: tuple[int, int]) -> Picture:
    """Resize an image without cropping, padded with the median of its corners.

    Example:
        >>> fit_picture(np.full((20, 40, 3), 7, np.uint8), (8, 8)).shape
        (8, 8, 3)
    """
    return resize(image, size, "pad", _background(image))


def resize(
    image: Picture,
    size: tuple[int, int],
    fit: Literal["pad", "crop"],
    background: int = 0,
) -> Picture:
    """Resize an image by bicubic interpolation, keeping its proportions.

    Args:
        image: The image.
        size: Height and width of the result.
        fit: `"pad"` shows all of it on its background, `"crop"` fills the size with its
            middle.
        background: Value of the pixels around a padded image.

    Example:
        >>> image = np.full((20, 40, 3), 9, np.uint8)
        >>> resize(image, (8, 8), "pad")[:, 0, 0].tolist()
        [0, 0, 9, 9, 9, 9, 0, 0]
        >>> resize(image, (8, 8), "crop")[:, 0, 0].tolist()
        [9, 9, 9, 9, 9, 9, 9, 9]
    """
    from PIL import Image

    choose = min if fit == "pad" else max
    scale = choose(new / old for new, old in zip(size, image.shape, strict=False))
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    channels = image.shape[2]
    picture = Image.fromarray(image if channels == 3 else image[..., 0])
    scaled = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    scaled = scaled.reshape(height, width, channels)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    if fit == "crop":
        return scaled[-top : size[0] - top, -left : size[1] - left]
    padded = np.full((*size, channels), background, np.uint8)
    padded[top : top + height, left : left + width] = scaled
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
