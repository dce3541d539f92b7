"""Axes with readable names, units and whole epochs."""

from typing import Any

from matplotlib.ticker import MaxNLocator, PercentFormatter

_SHARES = ("accuracy", "precision", "recall", "f1_score", "calibration_error")
_UNITS = {"elbo": "nats", "kl": "nats"}


def readable(name: str) -> str:
    """Return the name of a measure or setting in words, with its unit.

    Example:
        >>> readable("accuracy"), readable("learning_rate"), readable("elbo")
        ('accuracy (%)', 'learning rate', 'elbo (nats)')
    """
    unit = "%" if is_share(name) else _UNITS.get(name)
    words = name.replace("_", " ")
    return words if unit is None else f"{words} ({unit})"


def is_share(name: str) -> bool:
    """Return whether a measure is a share, which people read in percent.

    Example:
        >>> is_share("top_5_accuracy"), is_share("loss")
        (True, False)
    """
    return name.endswith(_SHARES)


def measure_axis(axis: Any, name: str) -> None:
    """Name an axis after a measure; shares are in percent."""
    axis.set_label_text(readable(name))
    if is_share(name):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=""))


def epoch_axis(axes: Any) -> None:
    """Let the horizontal axis count epochs, which are whole."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = axes.get_xlim()
    if high - low < 1:  # a single epoch
        axes.set_xlim(low - 0.5, high + 0.5)


def caption(figure: Any, text: str) -> None:
    """Say below a figure what its lines and bands are."""
    figure.supxlabel(text, fontsize=8, color="0.35")
