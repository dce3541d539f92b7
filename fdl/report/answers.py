"""Errors of answers that are sequences: by length, and by edit."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fdl.report.backend import write_figure
from fdl.report.names import seen

_MOST = 20  # edits
_NONE = "∅"
_FEWEST = 5  # answers of a length, for a meaningful share


def draw_errors_by_length(
    path: Path | str,
    wrong: Float[np.ndarray, " answers"],
    length: Int[np.ndarray, " answers"],
    *,
    title: str,
    of: str = "source",
) -> None:
    """Write a picture of the share of wrong answers by length of the source.

    Bars are 95 % intervals (Wilson, 1927). Lengths with fewer than 5 sources are left
    out.

    Args:
        path: The file to write.
        wrong: 1 for each wrong answer, else 0.
        length: Length of each source.
        title: Model and data, for the title.
        of: What has the length, for the label of the axis.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "lengths.png"
        ...     draw_errors_by_length(file, np.eye(8)[0], np.full(8, 3), title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    from scipy.stats import binomtest  # takes a second to import, needed only here

    lengths = [n for n in np.unique(length) if np.sum(length == n) >= _FEWEST]
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    share = np.array([wrong[length == n].mean() for n in lengths])
    count = np.array([np.sum(length == n) for n in lengths])
    intervals = [
        binomtest(int(wrong[length == n].sum()), int(k)).proportion_ci(method="wilson")
        for n, k in zip(lengths, count, strict=True)
    ]
    if lengths:
        low, high = np.array([(one.low, one.high) for one in intervals]).T
        bars = np.maximum((share - low, high - share), 0)
        axes.errorbar(lengths, share, yerr=bars, fmt="o-", capsize=2)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(f"Length of the {of}")
    axes.set_ylabel("Wrong answers (%)")
    axes.set_title(title, fontsize=9)
    write_figure(path, figure)


def draw_commonest(
    path: Path | str, confused: Mapping[tuple[str | None, str | None], int], title: str
) -> None:
    """Write a picture of the most common edits: what was answered for what.

    Args:
        path: The file to write.
        confused: Count of each edit `(answered, right)`; None for nothing.
        title: Model and data, for the title.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "confusions.png"
        ...     draw_commonest(file, {("AH", "IH"): 3, (None, "T"): 1}, title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    most = Counter(confused).most_common(_MOST)
    names = [f"{_symbol(right)} → {_symbol(answered)}" for (answered, right), _ in most]
    figure = Figure(figsize=(5.6, 1.0 + 0.24 * max(1, len(most))), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(most)), [count for _, count in most], color="C3")
    axes.set_yticks(range(len(most)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"Number of times (right → answered; {_NONE} is nothing)")
    axes.set_title(title, fontsize=9)
    write_figure(path, figure)


def _symbol(word: str | None) -> str:
    return _NONE if word is None else seen(word)
