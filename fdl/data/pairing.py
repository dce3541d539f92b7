"""Datasets of pairs of texts."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fdl.arrays import DataError, Pairs
from fdl.data.dataset import SPECIAL, UNITS, Dataset, DatasetInfo
from fdl.data.own import PARTS, Part, checksum, say
from fdl.data.pairs import (
    as_rows,
    join_text,
    lowered,
    make_vocabulary,
    numbers_of,
    split_text,
    warn_of_cut,
)
from fdl.data.splits import SHARE, rows_of_sources

_LONGEST = 256  # letters or words of a text to read


def from_pairs(
    source: Sequence[str],
    target: Sequence[str],
    *,
    validation: tuple[Sequence[str], Sequence[str]] | None = None,
    test: tuple[Sequence[str], Sequence[str]] | None = None,
    units: Sequence[str] | None = None,
    columns: Sequence[str] = ("source", "target"),
    name: str = "pairs",
    seed: int = 0,
) -> Dataset:
    """Make a dataset of pairs of texts, such as translations.

    A source may occur several times, each with a correct target. Without a test part,
    the pairs of a sixth of the sources become one, drawn with a seed.

    Args:
        source: Texts that the model reads.
        target: Text that each source becomes.
        validation: Sources and targets for model selection; None for none, so that
            `fdl.data.split` can hold out some.
        test: Sources and targets for evaluation; None to split off some of the others.
        units: Units of sources and of targets, each `"letters"` or `"words"`; None for
            words where a text has more than one, else letters.
        columns: Names of sources and targets.
        name: Name of the dataset.
        seed: Seed for drawing the test part.

    Raises:
        DataError: If the numbers of sources and targets differ, a text is empty, or no
            test part can be split off.

    Example:
        >>> data = from_pairs(["one", "two", "six"], ["1", "2", "6"], seed=1)
        >>> data.train
        Pairs(source=int32[2, 3], target=int32[2, 2])
        >>> data.info.class_names
        ('<pad>', '<s>', '</s>', '<unk>', '1', '2')
    """
    given = {"train": (source, target), "validation": validation, "test": test}
    return assemble_pairs(
        {part: Part(*pair) for part, pair in given.items() if pair is not None},
        name=name,
        title=name,
        source="texts",
        columns=tuple(columns),
        units=None if units is None else tuple(units),
        seed=seed,
    )


def assemble_pairs(
    parts: Mapping[str, Part],
    *,
    name: str,
    title: str,
    source: str,
    columns: tuple[str, ...],
    units: tuple[str, ...] | None = None,
    seed: int = 0,
    like: DatasetInfo | None = None,
) -> Dataset:
    """Build a dataset from its training part and, optionally, the two others.

    Vocabularies and lengths are those of the training part, or of `like`. Longer texts
    in other parts are cut, with a warning.

    Args:
        parts: Parts by name, whose inputs and targets are texts.
        name: Name for `load`.
        title: Display name.
        source: Where the texts come from.
        columns: Names of sources and targets.
        units: As for `from_pairs`.
        seed: As for `from_pairs`.
        like: As for `fdl.data.load`.

    Raises:
        DataError: As for `from_pairs`.
    """
    if like is not None and like.kind != "pair":
        like = None
    for part, pair in parts.items():
        _require_texts(f"{title}: the {part} part", pair)
    units = like.units if like else units or _units(parts["train"])
    if len(units) != 2 or not {*units} <= {*UNITS}:
        raise DataError(
            f"{title}: units={','.join(units)!r} must be two of {', '.join(UNITS)}, "
            "one for the sources and one for the targets."
        )
    texts = {
        part: _split(f"{title}: the {part} part", pair, units)
        for part, pair in parts.items()
    }
    if "test" not in texts and like:
        texts["test"] = texts["train"]
        source += "; no test part, so all of it is evaluated"
    elif "test" not in texts:
        texts |= _test_part(title, texts["train"], seed)
        source += f"; no test part, so a sixth was drawn with seed {seed}"
    if like:
        vocabularies = like.vocabulary, like.class_names
        lengths = like.input_shape[0], like.target_length
    else:
        train = texts["train"]
        vocabularies = tuple(map(make_vocabulary, train, units))
        for column, vocabulary in zip(columns, vocabularies, strict=True):
            if len(vocabulary) == len(SPECIAL):
                raise DataError(
                    f"{title}: no word of {column!r} occurs twice in the train part, "
                    "so its vocabulary is empty: add pairs, or set its units to "
                    "letters."
                )
        longest = [min(_LONGEST, max(map(len, column))) for column in train]
        lengths = longest[0], longest[1] + 1
    known = tuple(map(numbers_of, vocabularies))
    pairs: dict[str, Pairs] = {}
    for part, (sources, targets) in texts.items():
        what = f"of the {part} part"
        warn_of_cut(title, f"sources {what}", sources, lengths[0], units[0])
        warn_of_cut(title, f"targets {what}", targets, lengths[1] - 1, units[1])
        pairs[part] = Pairs(
            as_rows([lowered(x, known[0]) for x in sources], known[0], lengths[0]),
            as_rows(targets, known[1], lengths[1], ends=True),
        )
        for tokens in pairs[part]:
            np.asarray(tokens).flags.writeable = False
    train, validation, test = (pairs.get(part) for part in PARTS)
    assert train is not None
    assert test is not None
    info = DatasetInfo(
        name=name,
        title=title,
        source=source,
        num_classes=len(vocabularies[1]),
        class_names=vocabularies[1],
        input_shape=(lengths[0],),
        train_count=len(train.source),
        validation_count=0 if validation is None else len(validation.source),
        test_count=len(test.source),
        checksum=checksum(pairs),
        overlaps=(),
        kind="pair",
        columns=columns,
        vocabulary=vocabularies[0],
        target_length=lengths[1],
        units=units,
    )
    written = [join_text(text, units[1]) for text in texts["test"].target]
    return Dataset(train, validation, test, info, references=np.array(written))


def _units(train: Part) -> tuple[str, ...]:
    """Return the units of texts: words where one has several, else letters."""
    return tuple(
        "words" if any(len(text.split()) > 1 for text in texts) else "letters"
        for texts in train
    )


class _Texts(NamedTuple):
    """Sources and targets, each a list of letters or words."""

    source: list[list[str]]
    target: list[list[str]]


def _require_texts(where: str, pair: Part) -> None:
    """Raise a DataError unless both are texts, equally many sources and targets."""
    count, others = len(pair.inputs), len(pair.targets)
    if count != others or not count:
        raise DataError(
            f"{where} has {count} sources and {others} targets: give one target for "
            "each source."
        )
    for what, texts in zip(_Texts._fields, pair, strict=True):
        for row, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise DataError(
                    f"{where}: {what} {row} of {count} is {text!r}, but must be a text."
                )


def _split(where: str, pair: Part, units: tuple[str, ...]) -> _Texts:
    """Return the texts of a part, split."""
    found = _Texts(
        *(
            [split_text(text, unit) for text in texts]
            for texts, unit in zip(pair, units, strict=True)
        )
    )
    for what, texts in found._asdict().items():
        if not all(texts):
            row = next(row for row, text in enumerate(texts, start=1) if not text)
            raise DataError(
                f"{where}: {what} {row} of {len(texts)} is empty: leave it out."
            )
    return found


def _test_part(title: str, whole: _Texts, seed: int) -> dict[str, _Texts]:
    """Split off a test part: a sixth of the sources, each with all its targets."""
    sources = list(map(tuple, whole.source))
    different = len(set(sources))
    if different < 2:
        raise DataError(
            f"{title} has only one source and no test part: give at least two "
            "different sources, or a test part."
        )
    chosen = rows_of_sources(sources, max(SHARE, 1 / different), seed=seed)
    say(
        f"{title} has no test part: {len(chosen):,} of its {len(sources):,} pairs "
        f"became one, drawn with seed {seed}"
    )
    is_test = np.zeros(len(sources), bool)
    is_test[chosen] = True
    return {
        part: _Texts(*(list(itertools.compress(texts, rows)) for texts in whole))
        for part, rows in (("train", ~is_test), ("test", is_test))
    }
