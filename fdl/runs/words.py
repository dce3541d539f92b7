"""Numbers and settings as short text."""

from typing import Any

_SHARES = ("accuracy", "exact_match", "error_rate")


def shown(metric: str, value: float) -> str:
    """Format a metric, accuracies as percentages.

    Example:
        >>> shown("accuracy", 0.98765), shown("loss", 0.0123456)
        ('98.77%', '0.0123')
    """
    return f"{value:.2%}" if metric.endswith(_SHARES) else f"{value:.4f}"


def brief(value: Any) -> str:
    """Format a setting in a few characters.

    Example:
        >>> brief(1 / 3), brief("one-cycle")
        ('0.3333', 'one-cycle')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)
