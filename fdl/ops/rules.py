"""Rules for the fastest implementation, as measured by `python -m bench ops`.

On CPU, an implementation is fast if its data stay in the caches, if XLA parallelizes or
vectorizes it, and if it does not slow down inside a loop, as XLA's gradients of
convolution and pooling do (jax-ml/jax#12868). On a GPU, an operation should launch few
kernels.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Literal

import jax

Implementation = Literal["xla", "tuned"]
"""How an operation is computed: by XLA's own operation and its derivative (`"xla"`), or
by slices and matrix products, whose derivative is the same kind (`"tuned"`)."""

PART_BYTES = 2**22
"""Bytes of patches that are computed at once; more would not fit into the caches."""

FEW_CHANNELS = 8
"""With at most this many channels, gradients of images are products of patches, and
patches for the gradient of a kernel have their pixels along the last axis."""

FEW_PIXELS = 4
"""With at most this many output pixels, XLA's convolution leaves its fast path."""

FEW_ROWS = 8
"""With at least this many rows, patches of whole rows cost less than those of
windows."""

GROUP_CHANNELS = 32
"""Groups with fewer channels are joined, since their products would be too narrow."""

FOLD = 8
"""Rows that a sum over images adds at once, before products sum the rest."""

LONGEST_ROW = 576
"""Largest number of values in a window for which a convolution on a GPU is a product of
patches: longer rows do more arithmetic per byte moved, and the vendor's convolutions
are faster."""


def at_most(size: Any, most: int) -> bool:
    """Return whether a size is at most another.

    In a program that is exported for any batch size, sizes are symbolic. They count as
    small, so that such a program has the simplest form.

    Example:
        >>> at_most(3, 2)
        False
    """
    return not isinstance(size, int) or size <= most


def joins_convolution(window: tuple[int, int], strides: tuple[int, int]) -> bool:
    """Return whether XLA fuses a reduction of windows with the preceding operation.

    On CPU, if windows do not overlap and no derivative is taken, it does, and the
    output of a convolution is never written: a quarter of the time for a batch of
    1,024.
    """
    apart = all(size <= step for size, step in zip(window, strides, strict=True))
    return apart and jax.default_backend() == "cpu"


def devices() -> int:
    """Return the number of devices that share the batch in the current trace."""
    return jax.sharding.get_abstract_mesh().shape.get("data", 1)


_plain: ContextVar[bool] = ContextVar("plain_forms", default=False)


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """Trace XLA's own operations within this context, so that they can be counted.

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
