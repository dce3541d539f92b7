"""Validation of options that several layers share."""

from fdl.arrays import Number, is_concrete


def check_sizes(**sizes: int | None) -> None:
    """Check that sizes are at least 1; None, for a default, is accepted.

    Raises:
        ValueError: If a size is below 1; the message names it.

    Example:
        >>> check_sizes(num_heads=2, value_size=None)
    """
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name}={size} must be at least 1.")


def check_rate(rate: Number) -> None:
    """Check that a dropout rate is a probability.

    Raises:
        ValueError: If the rate is outside [0, 1].

    Example:
        >>> check_rate(0.5)
    """
    if is_concrete(rate) and not 0 <= rate <= 1:
        raise ValueError(f"dropout_rate={rate} must be in [0, 1].")
