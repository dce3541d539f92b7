"""Refusal of options that no layer can have, in words that say what to change."""

from fdl.arrays import Number, is_concrete


def check_sizes(**sizes: int | None) -> None:
    """Refuse sizes below 1; None stands for a size to be taken from elsewhere.

    Raises:
        ValueError: If one is below 1; the message names it.

    Example:
        >>> check_sizes(num_heads=2, value_size=None)
    """
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name}={size} must be 1 or more.")


def check_rate(rate: Number) -> None:
    """Refuse a rate of dropout that is no probability.

    Raises:
        ValueError: If it is outside [0, 1].

    Example:
        >>> check_rate(0.5)
    """
    if is_concrete(rate) and not 0 <= rate <= 1:
        raise ValueError(f"dropout_rate={rate} is a probability: choose one in [0, 1].")
