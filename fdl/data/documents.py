"""Datasets of texts with classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fdl.arrays import Batch, DataError, Documents
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.data.own import Part, assemble, checksum
from fdl.data.words import encode, fitting_length, make_vocabulary


def assemble_documents(
    parts: Mapping[str, Part],
    *,
    name: str,
    title: str,
    source: str,
    class_names: tuple[str, ...] | None = None,
    column: str = "text",
    seed: int = 0,
    like: DatasetInfo | None = None,
) -> Dataset:
    """Build a dataset from its training part and, optionally, the two others.

    Vocabulary and length are those of the training part, or of `like`.

    Args:
        parts: Parts by name, whose inputs are texts.
        name: Name for `load`.
        title: Display name.
        source: Where the texts come from.
        class_names: As for `fdl.data.from_arrays`.
        column: Name of the text where it comes from.
        seed: As for `fdl.data.from_arrays`.
        like: As for `fdl.data.load`.

    Raises:
        DataError: As for `fdl.data.from_arrays`, or if a text has no words.
    """
    texts = [str(text) for part in parts.values() for text in part.inputs]
    rows, first = {}, 0
    for part, (inputs, targets) in parts.items():
        numbers = np.arange(first, first + len(inputs))[:, None]
        rows[part] = Part(numbers.astype(np.float32), targets)  # exact up to 2**24
        first += len(inputs)
    # Labels and parts are determined as for other data, on the numbers of the texts.
    chosen = assemble(
        rows,
        name=name,
        title=title,
        source=source,
        class_names=class_names,
        seed=seed,
        like=like,
    )
    if chosen.info.kind != "vector":
        raise DataError(
            f"{title}: targets are floating point, but must be the class of each text, "
            "a whole number or a name."
        )
    if like is not None and like.kind == "document":
        vocabulary, length = like.vocabulary, like.input_shape[0]
    else:
        train = [texts[row] for row in _rows(chosen.train)]
        vocabulary, length = make_vocabulary(train), fitting_length(train)
    tokens = encode(texts, vocabulary, length, title)
    train, validation, test = (
        None if part is None else Documents(tokens[_rows(part)], part.label)
        for part in chosen[:3]
    )
    documents = {"train": train, "validation": validation, "test": test}
    for part in documents.values():
        for array in part or ():
            np.asarray(array).flags.writeable = False
    info = chosen.info._replace(
        input_shape=(length,),
        checksum=checksum({name: part for name, part in documents.items() if part}),
        kind="document",
        columns=(column,),
        means=(),
        deviations=(),
        vocabulary=vocabulary,
    )
    return Dataset(train, validation, test, info)


def _rows(part: Batch) -> np.ndarray:
    """Return the numbers of the texts in a part."""
    return np.asarray(part.image)[:, 0].astype(int)


def classes_of(title: object, name: str, values: Sequence[Any]) -> np.ndarray:
    """Return the classes of a file as an array: whole numbers or names.

    Raises:
        DataError: If they are something else, or a mixture of both.

    Example:
        >>> classes_of("a.jsonl", "label", ["good", "bad"])
        array(['good', 'bad'], dtype='<U4')
    """
    if not values:
        raise DataError(f"{title} has no texts.")
    kind = str if isinstance(values[0], str) else int
    for row, value in enumerate(values, start=1):
        if not isinstance(value, kind):
            what = "a name, as in the first" if kind is str else "a whole number"
            raise DataError(
                f"{title}: {name!r} of text {row} is {value!r}, not {what}: it must be "
                "the class of the text."
            )
    return np.array(values)
