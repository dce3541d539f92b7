"""Which form of an operation is the fastest, as measured by `python -m bench ops`.

On CPU, a form is fast if it stays in the caches, is one that XLA spreads over the cores
or vectorizes, and does not collapse inside a loop, where XLA's gradients of convolution
and pooling do (jax-ml/jax#12868). On a GPU, an operation should be few kernels.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Literal

import jax

Implementation = Literal["xla", "tuned"]
"""How an operation is computed: by XLA's own operation and its derivative, or by
slices and matrix products with a derivative made of the same."""

PART_BYTES = 2**22
"""Bytes of patches that are made at once: more would leave the caches."""

FEW_CHANNELS = 8
"""Up to so many channels, gradients of images are products of patches, and patches for
the gradient of a kernel have their pixels along the last axis."""

FEW_PIXELS = 4
"""Up to so many pixels of output, XLA's convolution leaves its fast path."""

FEW_ROWS = 8
"""From so many rows on, patches of whole rows cost less than patches of windows."""

GROUP_CHANNELS = 32
"""Groups of fewer channels are joined: their products would be too narrow."""

FOLD = 8
"""Rows that a sum over images adds up at once, before products add up the rest."""

LONGEST_ROW = 576
"""Values under one window, up to which a convolution on a GPU is a product of patches:
longer rows do more arithmetic for each byte they move, and the vendor's convolutions
win."""


def at_most(size: Any, most: int) -> bool:
    """Return whether a size is at most another.

    In a program that is exported for any batch, sizes are symbols: these count as
    small, so that such a program has the plainest form.

    Example:
        >>> at_most(3, 2)
        False
    """
    return not isinstance(size, int) or size <= most


def joins_convolution(window: tuple[int, int], strides: tuple[int, int]) -> bool:
    """Return whether XLA's reduction of windows becomes a part of what is before it.

    On CPU, where windows do not overlap and no derivative is taken, it does, and the
    output of a convolution is not written: a quarter of the time for a batch of 1,024.
    """
    apart = all(size <= step for size, step in zip(window, strides, strict=True))
    return apart and jax.default_backend() == "cpu"


def devices() -> int:
    """Return how many devices share the batch of what is being traced."""
    return jax.sharding.get_abstract_mesh().shape.get("data", 1)


_plain: ContextVar[bool] = ContextVar("plain_forms", default=False)


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """Let what is traced meanwhile be XLA's own operations, which can be counted.

    Example:
        >>> with plain_forms():
        ...     resolve("tuned")
        'xla'
    """
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def resolve(
    implementation: Implementation | None, tuned_on: tuple[str, ...] = ("cpu", "gpu")
) -> Implementation:
    """Return `implementation`, or the faster one on this platform if it is None.

    Args:
        implementation: The implementation that was requested, or None.
        tuned_on: Platforms on which `"tuned"` was measured to be faster.

    Raises:
        ValueError: If `implementation` is unknown.

    Example:
        >>> resolve("tuned")
        'tuned'
    """
    if _plain.get():
        return "xla"
    if implementation is None:
        return "tuned" if jax.default_backend() in tuned_on else "xla"
    if implementation not in ("xla", "tuned"):
        raise ValueError(
            f"implementation={implementation!r} must be 'xla', 'tuned', or None to "
            "choose by platform."
        )
    return implementation
