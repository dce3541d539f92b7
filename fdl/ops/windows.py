"""Arithmetic of sliding windows, shared by convolution and pooling."""

from typing import Literal

from jax import lax
from jaxtyping import Shaped

from fdl.arrays import Array
from fdl.ranges import require_whole

Padding = Literal["valid", "same"]
"""Keras' padding modes: none, or enough for `ceil(size / stride)` outputs."""

Pads = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below an image, and columns to its left and right."""


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
        window: Height and width of the window, in pixels, without dilation.
        strides: Stride of the window in each direction, in pixels.
        padding: `"valid"` or `"same"`.
        dilation: Distance between the pixels of a window.

    Raises:
        ValueError: If a stride, a window or a dilation is below 1, the padding is
            unknown, or no window fits.

    Example:
        >>> border((5, 5), (3, 3), (2, 2), "same")
        ((1, 1), (1, 1))
    """
    require_whole("[1, inf)", window=window, strides=strides, dilation=dilation)
    if padding not in ("valid", "same"):
        raise ValueError(f"padding={padding!r} must be 'valid' or 'same'.")
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
    """Return, for each position in a window, the pixels of all windows there.

    Positions are listed row by row, as in a kernel of shape `(height, width, ...)`.
    Windows that reach beyond the edge are left out, so pad first.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(16).reshape(4, 4, 1)
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
