"""Users' texts without classes, encoded like those of a dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from fdl.arrays import DataError
from fdl.data.dataset import DatasetInfo
from fdl.data.jsonl import read_members, read_text
from fdl.data.pair_files import PairTable
from fdl.data.sources import options_of
from fdl.data.table import read_cells
from fdl.data.words import encode


def read_texts(path: Path | str, info: DatasetInfo) -> list[str]:
    """Return the texts in a file.

    In a `.csv` or `.jsonl` file, these are in the column or member with the name that
    the dataset has for its texts, or for the sources of its pairs; and in a `.tsv` file
    for pairs, in the column that the dataset of the pairs has for its sources. Any
    other file, in UTF-8, is one text, or for pairs, one text per line.

    Args:
        path: The file.
        info: Description of the dataset, such as that of a run.

    Raises:
        DataError: If the file cannot be read, has no such column, or holds no text.
    """
    path = Path(path)
    column = info.columns[0] if info.columns else "text"
    if path.suffix == ".jsonl":
        return read_members(path, column)[0]
    if path.suffix == ".csv":
        cells = read_cells(path)
        if column not in cells:
            raise DataError(
                f"{path}: line 1 has no column {column!r}, where the texts are to be; "
                f"it has {', '.join(cells)}."
            )
        return cells[column]
    if info.kind == "pair" and path.suffix == ".tsv":
        same = info.name.startswith("tsv:")  # the same columns
        said = options_of(info.name, "tsv:") if same else {"source": column}
        sides = said.get("source", "1"), said.get("target", "2")
        return PairTable(path.name, path, *sides).sources()
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} holds no text.")
    return text.removesuffix("\n").split("\n") if info.kind == "pair" else [text]


def as_tokens(
    texts: Sequence[str], info: DatasetInfo
) -> Int32[np.ndarray, "texts time"]:
    """Encode texts like those of a dataset, to predict from.

    Args:
        texts: The texts.
        info: Description of the dataset, such as that of a run.

    Raises:
        DataError: If the dataset has no texts with classes, or a text has no words.

    Example:
        >>> import fdl.data
        >>> texts = ["a good film", "a bad film"] * 6
        >>> info = fdl.data.from_arrays(texts, ["good", "bad"] * 6).info
        >>> as_tokens(["a fine film"], info)
        array([[2, 1, 3]], dtype=int32)
    """
    if info.kind != "document":
        raise DataError(f"{info.title} holds no texts with classes, but {info.kind}s.")
    return encode(texts, info.vocabulary, info.input_shape[0])
