"""Words of texts, and the vocabulary of a dataset."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int32

from fdl.arrays import DataError

PAD, UNKNOWN = 0, 1
"""Tokens of padding and of words outside the vocabulary."""

_SPECIAL = ("[PAD]", "[UNK]")
_MOST_WORDS = 20_000  # in a vocabulary
_LONGEST = 256  # words of a text to read

# Chinese and Japanese have no spaces: each of their characters is a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_LETTERS = rf"[^\W{_UNSPACED}]+"
_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTERS}(?:['\u2019]{_LETTERS})*|[^\w\s]")


# Punctuation before or after words; within a word, it is part of it.
_MARKS = re.escape(
    ".,;:!?\"'()[]\u2026\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u00bf\u00a1\u3001\u3002"
)
_OPENING = {*"([\u201a\u201e\u00ab\u00bf\u00a1"}
_CLOSING = {*".,;:!?)]\u2026\u2019\u201d\u00bb\u3001\u3002"}
# Marks that close the one given here if it is open, and otherwise open.
_QUOTES = {"'": "'", '"': '"', "\u2018": "\u201a", "\u201c": "\u201e"}
_MARK = re.compile(f"[{_MARKS}]")
_SPACED = re.compile(rf"[{_MARKS}]|[^\s{_MARKS}]+(?:[{_MARKS}]+[^\s{_MARKS}]+)*")


def split_words(text: str) -> list[str]:
    """Split a text at white space, and separate punctuation marks around words.

    Example:
        >>> split_words("It's 3.50 (or well-known)!")
        ["It's", '3.50', '(', 'or', 'well-known', ')', '!']
    """
    return _SPACED.findall(text) if _MARK.search(text) else text.split()


def join_words(words: Iterable[str]) -> str:
    """Join words to a text, without spaces between them and their punctuation.

    `split_words` returns the same words again.

    Example:
        >>> join_words(["Well", ",", '"', "almost", '"', "new", "(", "for", "me", ")"])
        'Well, "almost" new (for me)'
    """
    text, glued, opened = "", True, set()
    for word in words:
        opens, closes = word in _OPENING, word in _CLOSING
        if word in _QUOTES:
            closes = _QUOTES[word] in opened
            opens = not closes
            opened ^= {_QUOTES[word] if closes else word}
        elif opens:
            opened.add(word)
        text += word if glued or closes else f" {word}"
        glued = opens
    return text


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; each punctuation mark is a word.

    Example:
        >>> words("It's good, isn't it? 很好")
        ["it's", 'good', ',', "isn't", 'it', '?', '很', '好']
    """
    return _WORD.findall(text.lower())


def make_vocabulary(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the word of each token, the most frequent ones first.

    The first two are padding and unknown words. A word that occurs only once in the
    texts is left out, so that the model learns about unknown words.

    Example:
        >>> make_vocabulary(["a good film", "a bad film"])
        ('[PAD]', '[UNK]', 'a', 'film')
    """
    counts = Counter(word for text in texts for word in words(text))
    return with_known_words(_SPECIAL, counts)


def with_known_words(special: Sequence[str], counts: Counter) -> tuple[str, ...]:
    """Return a vocabulary: special tokens, then words, the most frequent ones first.

    Example:
        >>> with_known_words(["?"], Counter("banana"))
        ('?', 'a', 'n')
    """
    known = sorted((-count, word) for word, count in counts.items() if count > 1)
    return (*special, *(word for _, word in known))[:_MOST_WORDS]


def fitting_length(texts: Iterable[str]) -> int:
    """Return the number of words in the longest text, but at most 256."""
    return min(_LONGEST, max(len(words(text)) for text in texts))


def encode(
    texts: Sequence[str], vocabulary: Sequence[str], length: int, title: str = "texts"
) -> Int32[np.ndarray, "texts time"]:
    """Return the tokens of texts, cut or padded to a length.

    Args:
        texts: The texts.
        vocabulary: Word of each token.
        length: Number of tokens of each text.
        title: Name of the texts in messages.

    Raises:
        DataError: If a text has no words.

    Example:
        >>> encode(["a bad film"], ("[PAD]", "[UNK]", "a", "film"), 4)
        array([[2, 1, 3, 0]], dtype=int32)
    """
    number = {word: token for token, word in enumerate(vocabulary)}
    token = np.full((len(texts), length), PAD, np.int32)
    for row, text in enumerate(texts):
        found = [number.get(word, UNKNOWN) for word in words(text)[:length]]
        if not found:
            raise DataError(
                f"{title}: text {row + 1} of {len(texts)} has no words: {text!r}."
            )
        token[row, : len(found)] = found
    return token
