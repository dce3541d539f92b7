"""Digits in photographs, cut out and framed like those of MNIST.

LeCun et al. (1998, Gradient-based learning applied to document recognition, section
III.A) scale each digit so that its longer side has 20 pixels, and put its center of
mass into the middle of 28 by 28. Before that, a photograph needs its digit located, and
paper and shadows removed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage

Gray = UInt8[np.ndarray, "_ _"]

_BOX = 20 / 28  # longer side of a digit, relative to that of its image
_STROKE = 2.6 / 28  # least width of a stroke, relative to the side of the image
_SIDE = 112  # pixels a side of the picture that is searched
_MARGIN = 0.6  # around a digit that was found, relative to its longer side
_LEAST_INK = 16.0  # difference from the background, of 255
_COARSE = 40  # pixels a side of the picture of the paper
_WINDOW = 15  # side of the median filter that estimates paper, in these pixels
_NEAR = 0.35  # largest distance of another part of a digit, relative to its longer side


class _Found(NamedTuple):
    """A digit that was found.

    Attributes:
        ink: Difference of each pixel from the paper around it, in [0, 1].
        mask: Pixels that belong to the digit.
        mass: Amount of ink in its heaviest piece.
        scale: Pixels of the picture for each pixel of these arrays.
    """

    ink: Float[np.ndarray, "rows columns"]
    mask: Bool[np.ndarray, "rows columns"]
    mass: float
    scale: float

    def box(self, margin: int = 0) -> tuple[slice, slice]:
        """Return the rows and columns of the digit, with a margin."""
        (place,) = ndimage.find_objects(self.mask.astype(np.uint8))
        rows, columns = (
            slice(max(0, s.start - margin), s.stop + margin) for s in place
        )
        return rows, columns


def frame_digit(
    image: Gray, size: tuple[int, int], *, dark: bool | None = None
) -> Gray | None:
    """Find the digit in a photograph and frame it as MNIST does, light on dark.

    Paper is estimated by a local median, which allows for uneven light; the digit is
    the heaviest piece of ink and the pieces near it. Strokes thinner than MNIST's are
    thickened.

    Args:
        image: A gray picture of one digit.
        size: Height and width of the result.
        dark: Whether the digit is darker than its paper; None to detect it.

    Returns:
        The framed digit; None if nothing stands out.

    Example:
        >>> paper = np.full((300, 200), 180, np.uint8)
        >>> paper[40:100, 140:150] = 60
        >>> framed = frame_digit(paper, (28, 28))
        >>> np.flatnonzero(framed.max(axis=1) > 127)[[0, -1]].tolist()
        [4, 23]
    """
    found = _find(image, dark)
    if found is None:
        return None
    # Search again, closer.
    scale, longest = found.scale, max(s.stop - s.start for s in found.box())
    rows, columns = (
        slice(int(s.start * scale), int(s.stop * scale) + 1)
        for s in found.box(margin=round(_MARGIN * longest))
    )
    found = _find(image[rows, columns], dark) or found
    return _centered(_boxed(found, size), size)


def _find(image: Gray, dark: bool | None) -> _Found | None:
    scale = max(1.0, max(image.shape) / _SIDE)
    size = [max(1, round(side / scale)) for side in image.shape]
    small = Image.fromarray(image).resize(size[::-1], Image.Resampling.BOX)
    smooth = ndimage.gaussian_filter(
        np.asarray(small, np.float32), 1 if scale > 1 else 0.5
    )
    difference = smooth - _paper(smooth)
    noise = 1.4826 * float(np.median(np.abs(difference)))  # as a standard deviation
    inks = {True: -difference, False: difference}
    tried = [_found(inks[k], noise, scale) for k in inks if dark in (None, k)]
    found = [one for one in tried if one is not None]
    return max(found, key=lambda one: one.mass, default=None)


def _found(
    ink: Float[np.ndarray, "rows columns"], noise: float, scale: float
) -> _Found | None:
    """Return the digit in the ink; None if nothing stands out from noise."""
    ink = np.maximum(ink, 0)
    peak = np.sort(ink, axis=None)[-max(8, ink.size // 1000) :].mean()
    level = max(0.35 * peak, 4 * noise)
    if peak < max(_LEAST_INK, level):
        return None
    mask, mass = _digit(ink, ink > level)
    shades = np.clip((ink - 0.5 * level) / (0.75 * peak - 0.5 * level), 0, 1)
    near = ndimage.binary_dilation(mask, iterations=2)
    return _Found(np.where(near, shades, 0), mask, mass, scale)


def _paper(
    image: Float[np.ndarray, "rows columns"],
) -> Float[np.ndarray, "rows columns"]:
    """Estimate the paper around each pixel: the median of a wide window."""
    scale = max(1.0, max(image.shape) / _COARSE)
    coarse = _resized(image, [max(1, round(side / scale)) for side in image.shape])
    median = ndimage.median_filter(coarse, _WINDOW, mode="nearest")
    smooth = ndimage.gaussian_filter(median, 1, mode="nearest")
    return _resized(smooth, image.shape)


def _resized(image: Float[np.ndarray, "_ _"], shape: Sequence[int]) -> np.ndarray:
    height, width = shape
    picture = Image.fromarray(image.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _digit(
    ink: Float[np.ndarray, "rows columns"], mask: Bool[np.ndarray, "rows columns"]
) -> tuple[Bool[np.ndarray, "rows columns"], float]:
    """Return the heaviest piece of ink and the pieces near it, and its mass."""
    labels: Any = ndimage.label(mask, np.ones((3, 3)))
    pieces, count = labels
    numbers = np.arange(1, count + 1)
    mass = ndimage.sum_labels(ink, pieces, numbers)
    ends = np.concatenate([pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()])
    # Shadows and the edge of the paper reach the border; digits seldom do.
    at_border = np.isin(numbers, ends)
    weight = np.where(at_border, 0.3 * mass, mass)
    main = int(np.argmax(weight))
    places = ndimage.find_objects(pieces)
    reach = _NEAR * max(s.stop - s.start for s in places[main])
    near = [
        all(
            a.start < b.stop + reach and b.start < a.stop + reach
            for a, b in zip(place, places[main], strict=True)
        )
        for place in places
    ]
    kept = np.array(near) & (mass > 0.04 * mass[main]) & ~at_border
    kept[main] = True
    return np.isin(pieces, numbers[kept]), float(weight[main])


def _boxed(found: _Found, size: tuple[int, int]) -> Float[np.ndarray, "_ _"]:
    """Return the digit alone, scaled to its box, with thin strokes thickened."""
    place = found.box(margin=1)
    digit, mask = found.ink[place], np.pad(found.mask[place], 1)
    box = _BOX * max(size)
    scale = box / max(s.stop - s.start for s in found.box())
    distance: Any = ndimage.distance_transform_edt(mask)
    ridge = distance[mask & (distance >= ndimage.maximum_filter(distance, 3))]
    width = 2 * np.median(ridge) - 1
    radius = round(max(0, _STROKE * max(size) / scale - width) / 2)
    if radius:
        rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        disk = rows**2 + columns**2 <= radius**2 + 0.5
        digit = ndimage.grey_dilation(np.pad(digit, radius), footprint=disk)
        scale = box / (max(digit.shape) - 2)
    shape = [max(1, round(scale * side)) for side in digit.shape]
    pixels = Image.fromarray(np.rint(255 * digit).astype(np.uint8))
    scaled = np.asarray(
        pixels.resize(shape[::-1], Image.Resampling.BICUBIC), np.float32
    )
    return scaled * (255 / scaled.max())


def _centered(digit: Float[np.ndarray, "_ _"], size: tuple[int, int]) -> Gray:
    """Return an image with the digit's center of mass in the middle."""
    image = np.zeros(size, np.uint8)
    center: Any = ndimage.center_of_mass(digit)
    top, left = (
        int(np.clip(round(whole / 2 - middle), 0, whole - side))
        for whole, middle, side in zip(size, center, digit.shape, strict=True)
    )
    rows, columns = digit.shape
    image[top : top + rows, left : left + columns] = np.rint(digit)
    return image
