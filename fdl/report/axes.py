"""Axes with readable names, units and whole epochs."""

from typing import Any

from matplotlib.ticker import MaxNLocator, PercentFormatter

_SHARES = (
    "accuracy",
    "precision",
    "recall",
    "f1_score",
    "calibration_error",
    "exact_match",
    "error_rate",
)
_NAMES = {
    "elbo": "Evidence lower bound (nats)",
    "kl": "KL divergence (nats)",
    "reconstruction": "Reconstruction error (nats)",
    "importance_bound": "Importance-weighted bound (nats)",
    "bits_per_character": "Cross entropy (bits per character)",
    "nats_per_frame": "Negative log-likelihood (nats per frame)",
    "squared_error": "Squared error per image",
    "r2_score": "R²",
    "f1_score": "F1 score (%)",
    "frechet_distance": "Fréchet distance",
    "frechet_infinity": "Fréchet distance, extrapolated",
    "ema": "Decay of the moving average",
    "clip_norm": "Largest norm of gradients",
}


def readable(name: str, unit: str | None = None) -> str:
    """Return the name of a measure or setting in words, with its unit.

    Args:
        name: Its name.
        unit: Its unit, if that depends on the task; None if unknown, or if there is
            none.

    Example:
        >>> readable("accuracy"), readable("learning_rate"), readable("loss", "nats")
        ('Accuracy (%)', 'Learning rate', 'Loss (nats)')
        >>> readable("elbo")
        'Evidence lower bound (nats)'
    """
    if name in _NAMES:
        return _NAMES[name]
    unit = "%" if is_share(name) else unit
    words = name.replace("_", " ")
    words = words[:1].upper() + words[1:]
    return words if unit is None else f"{words} ({unit})"


def is_share(name: str) -> bool:
    """Return whether a measure is a share, which is shown in percent.

    Example:
        >>> is_share("top_5_accuracy"), is_share("loss")
        (True, False)
    """
    return name.endswith(_SHARES)


def measure_axis(axis: Any, name: str, unit: str | None = None) -> None:
    """Label an axis with a measure; shares are in percent."""
    axis.set_label_text(readable(name, unit))
    if is_share(name):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=""))


def epoch_axis(axes: Any) -> None:
    """Label the horizontal axis with whole epochs."""
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = axes.get_xlim()
    if high - low < 1:  # a single epoch
        axes.set_xlim(low - 0.5, high + 0.5)


def caption(figure: Any, text: str) -> None:
    """Explain the lines and bands of a figure below it."""
    figure.supxlabel(text, fontsize=8, color="0.35")
