"""Images that a classifier misclassified, with true and predicted classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped

from fdl.arrays import Array
from fdl.report.names import cut
from fdl.report.tiles import Words, tiles_of, write_tiles

_MOST, _COLUMNS = 150, 15
_SHORT = 2  # characters of names that share a line


def draw_mistakes(
    path: Path | str,
    images: Shaped[Array, "examples height width channels"],
    label: Int[np.ndarray, " examples"],
    probability: Float[np.ndarray, "examples classes"],
    class_names: Sequence[str],
    *,
    title: str,
) -> None:
    """Write a picture of the misclassified images, as in LeCun et al. (1998).

    Below each image are its true and predicted class, which also sort the images. If
    there are more than 150, the most confident ones are shown. If there are none,
    nothing is written.

    Args:
        path: The file to write.
        images: Images, gray or in color.
        label: Class of each.
        probability: Predicted probabilities of each.
        class_names: A name for each class.
        title: Model and data, for the title.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "mistakes.png"
        ...     images, label = np.zeros((2, 8, 8, 1)), np.array([0, 1])
        ...     says = np.array([[0.9, 0.1], [0.8, 0.2]])
        ...     draw_mistakes(file, images, label, says, ["cat", "dog"], title="")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    shown, wrong = _chosen(label, probability)
    if not wrong:
        return
    guess = probability[shown].argmax(axis=-1)
    pairs = zip(label[shown], guess, strict=True)
    count = f"{wrong:,} of {len(label):,} misclassified"
    if wrong > len(shown):
        count += f", of which the {len(shown)} most confident"
    words = Words(
        f"{title}: {count}",
        below=[_said(*(class_names[int(x)] for x in pair)) for pair in pairs],
        note="Below each: true class → predicted class.",
    )
    write_tiles(path, tiles_of(images[shown]), _COLUMNS, words)


def _chosen(
    label: Int[np.ndarray, " examples"],
    probability: Float[np.ndarray, "examples classes"],
) -> tuple[Int[np.ndarray, " shown"], int]:
    """Return which mistakes to show, sorted by class and guess, and their number.

    Example:
        >>> says = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
        >>> _chosen(np.array([1, 0, 0]), says)
        (array([2, 0]), 2)
    """
    guess = probability.argmax(axis=-1)
    wrong = np.flatnonzero(guess != label)
    sure = probability.max(axis=-1)[wrong]
    kept = np.sort(wrong[np.argsort(-sure, kind="stable")[:_MOST]])
    return kept[np.lexsort((guess[kept], label[kept]))], len(wrong)


def _said(true: str, guess: str) -> str:
    if max(len(true), len(guess)) <= _SHORT:
        return f"{true} → {guess}"
    return f"{cut(true)}\n→ {cut(guess)}"
