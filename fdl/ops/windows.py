"""Sliding windows over images: the arithmetic that convolution and pooling share."""

from typing import Literal

import jax
from jax import lax
from jaxtyping import Shaped

from fdl.arrays import Array

Implementation = Literal["xla", "gemm"]
"""How an operation is lowered: as XLA does it and differentiates it, or taken apart
into slices and matrix products, with a derivative that is such products too."""

Padding = Literal["valid", "same"]
"""Keras' two rules at the border: no padding, or enough for `ceil(size / stride)`."""

Pads = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below an image, columns left and right of it."""


def resolve(
    implementation: Implementation | None, gemm_on: tuple[str, ...] = ("cpu", "gpu")
) -> Implementation:
    """Return `implementation`, or the faster one for the platform when it is None.

    XLA on CPU loses its fast path for the gradients of convolution and pooling, most
    of all inside a loop (jax-ml/jax#12868); slices and products keep it. On GPU they
    are one kernel each, where a small convolution's gradient is many.

    Args:
        implementation: What was asked for.
        gemm_on: Platforms where products were measured to be faster.

    Raises:
        ValueError: If `implementation` is not a known one.

    Example:
        >>> resolve("gemm")
        'gemm'
    """
    if implementation is None:
        return "gemm" if jax.default_backend() in gemm_on else "xla"
    if implementation not in ("xla", "gemm"):
        raise ValueError(
            f"implementation={implementation!r} is not known; use 'xla', 'gemm', "
            "or None to choose by platform."
        )
    return implementation


def border(
    size: tuple[int, int],
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int] = (1, 1),
) -> Pads:
    """Return how many rows and columns to add before and after an image.

    Args:
        size: Height and width of the image, in pixels.
        window: Height and width of the window, in pixels that it looks at.
        strides: Step of the window in each direction, in pixels.
        padding: `"valid"` or `"same"`.
        dilation: Distance between the pixels that a window looks at.

    Raises:
        ValueError: If a stride, a window or a dilation is below 1, the padding is not
            known, or no window fits.

    Example:
        >>> border((5, 5), (3, 3), (2, 2), "same")
        ((1, 1), (1, 1))
    """
    if min(*window, *strides, *dilation) < 1:
        raise ValueError(
            f"window {window}, strides {strides} and dilation {dilation} must be 1 or "
            "more each way."
        )
    if padding not in ("valid", "same"):
        raise ValueError(f"padding={padding!r} is not known; use 'valid' or 'same'.")
    span = (
        (window[0] - 1) * dilation[0] + 1,
        (window[1] - 1) * dilation[1] + 1,
    )
    if padding == "valid" and (size[0] < span[0] or size[1] < span[1]):
        raise ValueError(
            f"a window of {span} does not fit into an image of {size} with "
            "padding='valid'; use a larger image or padding='same'."
        )
    (top, bottom), (left, right) = lax.padtype_to_pads(
        size, span, strides, padding.upper()
    )
    return (top, bottom), (left, right)


def taps(
    x: Shaped[Array, "*batch height width channels"],
    window: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> list[Shaped[Array, "*batch out_height out_width channels"]]:
    """Return, for each place in the window, what all windows see there.

    The list runs row by row, as a kernel of shape `(height, width, ...)` does. Windows
    that would reach over the edge are left out, so pad first.

    Example:
        >>> x = jax.numpy.arange(16).reshape(4, 4, 1)
        >>> [int(tap[0, 0, 0]) for tap in taps(x, (2, 2), (2, 2))]
        [0, 1, 4, 5]
    """
    *batch, height, width, channels = x.shape
    down, across = strides
    rows = [i * dilation[0] for i in range(window[0])]
    columns = [j * dilation[1] for j in range(window[1])]
    last_row = (height - 1 - rows[-1]) // down * down
    last_column = (width - 1 - columns[-1]) // across * across
    lead = [0] * len(batch)
    return [
        lax.slice(
            x,
            (*lead, i, j, 0),
            (*batch, i + last_row + 1, j + last_column + 1, channels),
            (*(1 for _ in batch), down, across, 1),
        )
        for i in rows
        for j in columns
    ]
