"""Range checks of numbers from users: each error names the value and the range.

Hyperparameters that are JAX arrays are not checked, since their values may change
within a compiled program.
"""

import math
from typing import Any

from fdl.plain import is_concrete

_LARGEST = float.fromhex("0x1.fffffep+127")  # of single precision


def require_number(interval: str, **named: Any) -> None:
    """Raise ValueError unless values are numbers in an interval.

    No interval contains NaN or infinity.

    Args:
        interval: Such as `"[0, 1)"`, from 0 to below 1; an end may be `inf`. With
            `" or None"` appended, None is accepted.
        **named: The values, by the names that the user knows.

    Raises:
        ValueError: Names the first value that is invalid.

    Example:
        >>> require_number("[0, 1)", dropout_rate=0.5)
        >>> require_number("[0, 1) or None", momentum=None)
        >>> require_number("[0, 1)", dropout_rate=1.5)
        Traceback (most recent call last):
        ValueError: dropout_rate=1.5 must be in [0, 1).
        >>> require_number("(0, inf)", learning_rate=float("nan"))
        Traceback (most recent call last):
        ValueError: learning_rate=nan must be a number, above 0.
    """
    for name, value in named.items():
        if complaint := _complaint(value, interval, (int, float), "a number"):
            raise ValueError(f"{name}={_shown(value)} must be {complaint}.")


def require_whole(interval: str, **named: Any) -> None:
    """Raise ValueError unless values are whole numbers in an interval.

    Args:
        interval: Such as `"[1, inf)"`, or `"[1, inf) or None"`.
        **named: The values, or tuples of several, by the names that the user knows.

    Raises:
        ValueError: Names the first value that is invalid.

    Example:
        >>> require_whole("[1, inf)", epochs=5, kernel_size=(3, 3))
        >>> require_whole("[1, inf)", epochs=1.5)
        Traceback (most recent call last):
        ValueError: epochs=1.5 must be a whole number, at least 1.
    """
    for name, given in named.items():
        for value in given if isinstance(given, tuple) else (given,):
            if complaint := _complaint(value, interval, (int,), "a whole number"):
                raise ValueError(f"{name}={_shown(given)} must be {complaint}.")


def require_length(length: int, **named: Any) -> None:
    """Raise ValueError unless tuples have a number of entries.

    Args:
        length: The number.
        **named: The tuples, by the names that the user knows.

    Raises:
        ValueError: Names the first tuple of another length.

    Example:
        >>> require_length(2, kernel_size=(3, 3))
        >>> require_length(3, features=(8, 16))
        Traceback (most recent call last):
        ValueError: features=(8, 16) must have 3 entries, not 2.
    """
    for name, given in named.items():
        if len(given) != length:
            raise ValueError(
                f"{name}={_shown(given)} must have {length} entries, not {len(given)}."
            )


def require_depth(depth: int, each: int, others: int, n: str) -> None:
    """Raise ValueError unless a depth gives all parts of a network equal sizes.

    Args:
        depth: Number of layers.
        each: Layers that are added when each part grows by one unit.
        others: Layers outside these parts.
        n: Name of these units, of which each part has equally many.

    Raises:
        ValueError: Names the nearest valid depths.

    Example:
        >>> require_depth(20, 6, 2, "blocks a stage")
        >>> require_depth(18, 6, 2, "blocks a stage")
        Traceback (most recent call last):
        ValueError: depth=18 must be 6n + 2 for n blocks a stage: 14 or 20.
    """
    rest = (depth - others) % each
    if rest:
        raise ValueError(
            f"depth={depth} must be {each}n + {others} for n {n}: "
            f"{depth - rest} or {depth - rest + each}."
        )


def _complaint(
    value: Any, interval: str, kinds: tuple[type, ...], kind: str
) -> str | None:
    """Return the requirement that a value does not meet; None if it is valid."""
    bounds, _, optional = interval.partition(" or ")
    if not is_concrete(value) or (value is None and optional):
        return None
    low, high = (float(end) for end in bounds[1:-1].split(", "))
    words = f"in {bounds}"
    if high == math.inf:
        words = f"above {low:g}" if bounds[0] == "(" else f"at least {low:g}"
    words += ", or None" if optional else ""
    # NumPy scalars and arrays without axes count as Python numbers.
    item: Any = getattr(value, "item", None)
    number: Any = item() if item and getattr(value, "shape", None) == () else value
    wanted = isinstance(number, kinds) and not isinstance(number, bool)
    if not wanted or number != number:  # NaN
        return f"{kind}, {words}"
    if not -_LARGEST <= number <= _LARGEST:
        return f"finite, and {words}"
    above = number > low or (number == low and bounds[0] == "[")
    below = number < high or (number == high and bounds[-1] == "]")
    return None if above and below else words


def _shown(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 40 else f"{shown[:36]}..."
