"""Convolution kernels that compute windowed Fourier transforms."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.arrays import Array

MOST = 1 << 16
"""Limit of the length of a frame, and of the number of frequencies."""


def check_window(value: Any) -> Any:
    """Accept the name of a SciPy window, the values of a window, or None for none."""
    if value is None:
        return None
    if isinstance(value, str):
        return _known_window(value)
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST:
        raise ValueError("must be the name of a window, or its values")
    if any(type(x) not in (int, float) or not math.isfinite(x) for x in value):
        raise ValueError("must be finite numbers")
    return tuple(float(x) for x in value)


def _known_window(name: str) -> str:
    import scipy.signal

    try:
        scipy.signal.get_window(name, 1)
    except (ValueError, TypeError):
        raise ValueError("is not a SciPy window without parameters") from None
    return name


def check_scaling(value: Any) -> str | None:
    """Accept the normalization of windows: `density`, `spectrum` or None."""
    if value not in (None, "density", "spectrum"):
        raise ValueError("must be 'density', 'spectrum' or None")
    return value


def check_periodic(value: Any) -> bool:
    """Accept True or False."""
    if type(value) is not bool:
        raise ValueError("must be True or False")
    return value


def check_side(value: Any) -> str:
    """Accept `real` or `imag`."""
    if value not in ("real", "imag"):
        raise ValueError("must be 'real' or 'imag'")
    return value


OPTIONS = {  # check and default of each option of the initializer STFT
    "side": (check_side, "real"),
    "window": (check_window, "hann"),
    "scaling": (check_scaling, "density"),
    "periodic": (check_periodic, False),
}


def kernel(options: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """Return a kernel of shape `(window, 1, frequencies)`.

    Example:
        >>> o = {"side": "real", "window": None, "scaling": None, "periodic": False}
        >>> kernel(o, (4, 1, 3))[:, 0].round(1).T.tolist()
        [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, -1.0, -0.0], [1.0, -1.0, 1.0, -1.0]]
    """
    length, channels, count = shape
    if channels != 1 or count < 2 or max(length, count) > MOST:
        raise ValueError(f"a Fourier transform has no kernel of shape {shape}")
    # NumPy for one period, but JAX for the large array, so that tracing for shapes, as
    # when a file is read, does not compute it.
    period = 2 * (count - 1)
    angles = -2 * np.pi * np.arange(period) / period
    wave = np.cos(angles) if options["side"] == "real" else np.sin(angles)
    at, times = (jnp.arange(size, dtype=jnp.uint32) for size in (length, count))
    waves = jnp.asarray(wave)[jnp.outer(at, times) % period]
    window = options["window"]
    if window is None:
        return waves[:, None]
    if isinstance(window, str):
        import scipy.signal

        window = scipy.signal.get_window(window, length, options["periodic"])
    window = np.asarray(window)
    if window.shape != (length,):
        raise ValueError(
            f"the window has {len(window)} values, but the kernel has {length}"
        )
    size = {
        None: 1.0,
        "density": np.sqrt(np.sum(window**2)),
        "spectrum": np.sum(np.abs(window)),
    }[options["scaling"]]
    return (waves * jnp.asarray(window / size)[:, None])[:, None]
