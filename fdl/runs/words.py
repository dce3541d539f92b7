"""Numbers as people write them."""

from typing import Any

_SHARES = ("accuracy", "exact_match", "error_rate")


def shown(metric: str, value: float) -> str:
    """Return a measure in words.

    Example:
        >>> shown("accuracy", 0.98765), shown("loss", 0.0123456)
        ('98.77%', '0.0123')
    """
    return f"{value:.2%}" if metric.endswith(_SHARES) else f"{value:.4f}"


def brief(value: Any) -> str:
    """Return a setting in a few characters.

    Example:
        >>> brief(1 / 3), brief("one-cycle")
        ('0.3333', 'one-cycle')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)
