"""Tokens of pairs of texts: letters, words and vocabularies."""

import itertools
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int32

from fdl.arrays import END, PAD, UNKNOWN, Array, DataError
from fdl.data.dataset import SPECIAL, DatasetInfo
from fdl.data.words import join_words, split_words, with_known_words

_log = logging.getLogger(__name__)

_SHOWN = 60  # letters in a message


def split_text(text: str, unit: str) -> list[str]:
    """Split a text into letters or words.

    Any white space counts as one space, and is dropped at both ends. A word ends at
    white space; punctuation marks around it are words of their own.

    Example:
        >>> split_text(" It's 5  o'clock, isn't it?", "words")
        ["It's", '5', "o'clock", ',', "isn't", 'it', '?']
        >>> split_text("3  May", "letters")
        ['3', ' ', 'M', 'a', 'y']
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return split_words(text) if unit == "words" else list(" ".join(text.split()))


def join_text(units: Iterable[str], unit: str) -> str:
    """Join letters or words to a text: the inverse of `split_text`.

    Example:
        >>> join_text(["It's", "5", "o'clock", "!"], "words")
        "It's 5 o'clock!"
    """
    return join_words(units) if unit == "words" else "".join(units)


def make_vocabulary(texts: Iterable[Sequence[str]], unit: str) -> tuple[str, ...]:
    """Return the letter or word of each token: all letters, or the most frequent words.

    The first four are `SPECIAL`. A word that occurs only once in the texts is left out,
    so that the model learns about unknown words.

    Args:
        texts: Split texts.
        unit: Unit into which they are split.

    Example:
        >>> make_vocabulary([["a", "dog"], ["a", "cat"]], "words")
        ('<pad>', '<s>', '</s>', '<unk>', 'a')
    """
    counts = Counter(itertools.chain.from_iterable(texts))
    if unit == "letters":
        return (*SPECIAL, *sorted(counts))
    return with_known_words(SPECIAL, counts)


def numbers_of(vocabulary: Sequence[str]) -> dict[str, int]:
    """Return the token of each letter or word, without the special tokens."""
    first = len(SPECIAL)
    return {one: token for token, one in enumerate(vocabulary[first:], start=first)}


def lowered(text: Sequence[str], known: dict[str, int]) -> Sequence[str]:
    """Return a split text with unknown letters or words in lower case.

    Example:
        >>> lowered("ABBA", {"A": 4, "b": 5})
        ['A', 'b', 'b', 'A']
    """
    if all(map(known.__contains__, text)):
        return text
    # A letter may become two, such as a Turkish capital, but words stay whole.
    return [
        small
        for one in text
        for small in (
            (one,) if one in known else one.lower() if len(one) == 1 else (one.lower(),)
        )
    ]


def as_rows(
    texts: Sequence[Sequence[str]],
    known: dict[str, int],
    length: int,
    *,
    ends: bool = False,
) -> Int32[np.ndarray, "texts time"]:
    """Return the tokens of split texts, cut or padded to a length.

    Args:
        texts: Split texts, of at least one letter or word each.
        known: The token of each letter or word.
        length: Number of tokens of each.
        ends: Whether each ends in `END`, as targets do.

    Example:
        >>> as_rows(["ab", "axa"], {"a": 4, "b": 5}, 3, ends=True)
        array([[4, 5, 2],
               [4, 3, 2]], dtype=int32)
    """
    room = length - ends
    tokens = [known.get(one, UNKNOWN) for text in texts for one in text[:room]]
    filled = np.array([min(len(text), room) for text in texts])
    rows = np.full((len(texts), length), PAD, np.int32)
    rows[np.arange(length) < filled[:, None]] = tokens
    if ends:
        rows[np.arange(len(texts)), filled] = END
    return rows


def source_tokens(
    info: DatasetInfo, texts: Sequence[str]
) -> Int32[np.ndarray, "texts time"]:
    """Return texts as tokens of a dataset's sources, to predict from.

    Letters and words outside the vocabulary are looked up in lower case; a word that is
    still missing becomes the unknown token, and a letter is an error. A text longer
    than the longest of the training part is cut, with a warning.

    Args:
        info: Description of the dataset, such as that of a run.
        texts: The texts.

    Raises:
        DataError: If the dataset has no pairs, a text is empty, or a letter is not in
            the vocabulary.

    Example:
        >>> import fdl.data
        >>> words = ["cat", "act", "dog"]
        >>> info = fdl.data.from_pairs(words, ["cats", "acts", "dogs"]).info
        >>> source_texts(info, source_tokens(info, ["Tact", "at"]))
        ['tac', 'at']
    """
    _require_pairs(info)
    known, unit, length = (
        numbers_of(info.vocabulary),
        info.units[0],
        info.input_shape[0],
    )
    split = [lowered(split_text(text, unit), known) for text in texts]
    for row, (text, found) in enumerate(zip(texts, split, strict=True), start=1):
        if not found:
            raise DataError(
                f"text {row} of {len(texts)} is empty: {text!r}: leave it out."
            )
        for letter in found if unit == "letters" else ():
            if letter not in known:
                raise DataError(
                    f"text {row} of {len(texts)}, {text!r}, has the letter {letter!r}, "
                    f"which {info.title} lacks: it has {_listed(known)}."
                )
    warn_of_cut(info.title, "texts", split, length, unit)
    return as_rows(split, known, length)


def source_texts(info: DatasetInfo, tokens: Array) -> list[str]:
    """Return the texts of rows of source tokens; unknown words are `<unk>`.

    Args:
        info: Description of the dataset, such as that of a run.
        tokens: Rows of sources, such as `Pairs.source`.

    Raises:
        DataError: If the dataset has no pairs.
    """
    _require_pairs(info)
    return [
        join_text(
            (info.vocabulary[token] for token in row if token != PAD), info.units[0]
        )
        for row in np.asarray(tokens).tolist()
    ]


def target_texts(
    info: DatasetInfo, tokens: Array, *, unknown: str | None = None
) -> list[str]:
    """Return the texts of rows of target tokens, each up to its end.

    Words are joined by spaces, punctuation is joined to them, and special tokens are
    left out.

    Args:
        info: Description of the dataset, such as that of a run.
        tokens: Rows of targets, such as `Pairs.target` or the output of beam search.
        unknown: Text in place of an unknown word; None to leave it out, too.

    Raises:
        DataError: If the dataset has no pairs.

    Example:
        >>> import fdl.data
        >>> info = fdl.data.from_pairs([*"abc"], ["A B A B"] * 3).info
        >>> info.class_names
        ('<pad>', '<s>', '</s>', '<unk>', 'A', 'B')
        >>> target_texts(info, np.array([[4, 5, 5, 2, 4], [1, 5, 4, 3, 0]]))
        ['A B B', 'B A']
    """
    _require_pairs(info)
    return [
        join_text(
            (
                info.class_names[token] if token >= len(SPECIAL) else str(unknown)
                for token in itertools.takewhile(lambda token: token != END, row)
                if token >= len(SPECIAL) or (token == UNKNOWN and unknown is not None)
            ),
            info.units[1],
        )
        for row in np.asarray(tokens).tolist()
    ]


def warn_of_cut(
    title: str, what: str, texts: Sequence[Sequence[str]], length: int, unit: str
) -> None:
    """Log a warning if texts are longer than the length to which they are cut."""
    cut = sum(len(text) > length for text in texts)
    if cut:
        _log.warning(
            "%s: %s were cut to %d %s",
            title,
            f"{cut:,} of {len(texts):,} {what}",
            length,
            unit,
        )


def _require_pairs(info: DatasetInfo) -> None:
    if info.kind != "pair":
        raise DataError(f"{info.title} holds no pairs of texts, but {info.kind}s.")


def _listed(known: Iterable[str]) -> str:
    letters = sorted(known)
    more = f" and {len(letters) - _SHOWN} more" if len(letters) > _SHOWN else ""
    return repr("".join(letters[:_SHOWN])) + more
