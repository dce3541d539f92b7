"""What each word of an answer attended to, as in Bahdanau et al. (2015)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from fdl.report.backend import write_figure
from fdl.report.names import seen

_COLUMNS = 3
_WORD = 0.24  # inches
_LETTERS = 2  # of a word that is not rotated


class Alignment(NamedTuple):
    """A source, an answer, and the attention between them.

    Attributes:
        source: Words or letters of the source.
        answer: Words or letters of the answer.
        weights: Attention of each word of the answer to each of the source.
    """

    source: Sequence[str]
    answer: Sequence[str]
    weights: Float[np.ndarray, "answer source"]


def draw_alignments(
    path: Path | str, alignments: Sequence[Alignment], *, title: str
) -> None:
    """Write a picture of alignments: the source across, the answer down.

    Args:
        path: The file to write.
        alignments: Alignments to draw, at least one.
        title: Model and data, for the title.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "alignments.png"
        ...     one = Alignment("gnu", ["N", "UW", "</s>"], np.eye(3))
        ...     draw_alignments(file, [one], title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    columns = min(_COLUMNS, len(alignments))
    rows = math.ceil(len(alignments) / columns)
    across = max(len(one.source) for one in alignments)
    down = max(len(one.answer) for one in alignments)
    size = columns * (_WORD * across + 1.2), rows * (_WORD * down + 1.2) + 0.4
    figure = Figure(figsize=(max(3.2, size[0]), size[1]), layout="constrained")
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every[len(alignments) :]:
        axes.set_axis_off()
    for axes, one in zip(every, alignments, strict=False):
        axes.imshow(one.weights, cmap="Greys", vmin=0, vmax=1)
        source, answer = ([seen(word) for word in words] for words in one[:2])
        turned = max(map(len, source)) > _LETTERS
        axes.set_xticks(range(len(source)), source, fontsize=8, rotation=90 * turned)
        axes.set_yticks(range(len(answer)), answer, fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
    figure.suptitle(title, fontsize=9)
    write_figure(path, figure)
