"""Texts, character by character: files, and the manual that comes with Python.

The latter is the dataset python-docs. `pydoc` has the language reference as plain text,
for `help("topics")`. The text changes between versions of Python, so results are only
comparable if `DatasetInfo.checksum` is the same.
"""

import dataclasses
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from fdl.arrays import DataError, Tokens
from fdl.data.catalog import HoldOut
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.data.documents import assemble_documents, classes_of
from fdl.data.jsonl import read_members, read_text
from fdl.data.own import Part
from fdl.data.pairing import assemble_pairs
from fdl.data.source import Source, Status

NAME = "python-docs"
"""Name of the dataset, which is not in the table since it depends on the Python."""

WINDOW = 128
"""Number of characters in an example."""

_TEST_SHARE = 10  # the last tenth of the text is the test set
_PIECE = 1 << 20  # characters to tokenize at a time


@dataclasses.dataclass(frozen=True)
class PythonDocs(Source):
    """The text of the manual, as a source."""

    @property
    def hold_out(self) -> HoldOut:
        """The last windows, since others have their neighbors in the training set."""
        return "last"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read it from the standard library; `data_dir` is ignored."""
        return load()

    def status(self, data_dir: Path | None) -> Status:
        """Read the text, which is fast."""
        try:
            info = load().info
        except DataError as error:
            return Status(self.name, "language reference", 0, 0, False, str(error))
        counts = (info.train_count, info.test_count)
        return Status(info.name, info.title, *counts, True, locate())


@dataclasses.dataclass(frozen=True)
class TextFile(Source):
    """`text:FILE`: a UTF-8 text file, character by character.

    Attributes:
        name: The line that names the source.
        path: The file.
    """

    path: Path

    @property
    def hold_out(self) -> HoldOut:
        """The last windows, since others have their neighbors in the training set."""
        return "last"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read it."""
        title = self.path.stem
        return _dataset(
            self._text(), name=self.name, title=title, source=f"file {self.path}"
        )

    def status(self, data_dir: Path | None) -> Status:
        """Read the text, since there is no other way to count its characters."""
        try:
            info = self.load(None, download=False).info
        except DataError as error:
            return Status(self.name, self.path.stem, 0, 0, False, str(error))
        counts = (info.train_count, info.test_count)
        return Status(info.name, info.title, *counts, True, str(self.path))

    def _text(self) -> str:
        return read_text(self.path)


@dataclasses.dataclass(frozen=True)
class TextLines(TextFile):
    """`jsonl:FILE`: texts in JSON objects, one per line.

    With a source, each object is a pair of source and target text; with a target alone,
    each text has a class; with neither, the texts are joined into one, to continue.

    Attributes:
        name: The line that names the source.
        path: The file.
        text: Member of the objects with the text.
        target: Member with the class, a whole number or a name; or with the text that
            the source becomes.
        source: Member with the source text of a pair.
        units: As for `fdl.data.from_pairs`.
    """

    text: str = "text"
    target: str | None = None
    source: str | None = None
    units: tuple[str, ...] | None = None

    @property
    def hold_out(self) -> HoldOut:
        """The last windows of a single text; stratified for all other data."""
        return "last" if self.target is self.source is None else "stratified"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read it."""
        if self.source is not None:
            return self._pairs(self.source, self.target or "target")
        if self.target is None:
            return super().load(data_dir, download=download)
        texts, targets = read_members(self.path, self.text, self.target)
        return assemble_documents(
            {"train": Part(texts, classes_of(self.path, self.target, targets))},
            name=self.name,
            title=self.path.stem,
            source=f"file {self.path}",
            column=self.text,
            like=self.like,
        )

    def _pairs(self, source: str, target: str) -> Dataset:
        return assemble_pairs(
            {"train": Part(*read_members(self.path, source, target, texts=2))},
            name=self.name,
            title=self.path.stem,
            source=f"file {self.path}",
            columns=(source, target),
            units=self.units,
            like=self.like,
        )

    def _text(self) -> str:
        (texts,) = read_members(self.path, self.text)
        return "\n".join(texts)


def locate() -> str:
    """Return the file of the text.

    Raises:
        DataError: If this Python lacks it.
    """
    return _topics().__file__ or "pydoc_data.topics"


def load() -> Dataset:
    """Load the text as windows of characters.

    Topics overlap, so each paragraph is used once, where it first appears: no paragraph
    of the test set is in the training set.

    Raises:
        DataError: If this Python lacks the text, or has too little of it.
    """
    topics = _topics().topics
    title = f"language reference of Python {platform.python_version()}"
    where = f"the standard library, {locate()}"
    return _dataset(join(topics), name=NAME, title=title, source=where)


def _dataset(text: str, *, name: str, title: str, source: str) -> Dataset:
    """Cut a text into windows of characters; its last tenth is the test part."""
    characters = sorted(set(text))
    codes = [ord(character) for character in characters]
    number = np.zeros(max(codes, default=0) + 1, np.int32)
    number[codes] = range(len(codes))
    tokens = np.empty(len(text), np.int32)
    for first in range(0, len(text), _PIECE):
        piece = text[first : first + _PIECE].encode("utf-32-le", "surrogatepass")
        tokens[first : first + _PIECE] = number[np.frombuffer(piece, "<u4")]
    cut = len(tokens) - len(tokens) // _TEST_SHARE
    train, test = windows(tokens[:cut]), windows(tokens[cut:])
    info = DatasetInfo(
        name=name,
        title=title,
        source=source,
        num_classes=len(characters),
        class_names=tuple(characters),
        input_shape=(WINDOW,),
        train_count=len(train.token),
        validation_count=0,
        test_count=len(test.token),
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        overlaps=(),
        kind="text",
    )
    return Dataset(train, None, test, info)


def join(topics: Mapping[str, str]) -> str:
    r"""Return all paragraphs of all topics, each once.

    Example:
        >>> join({"a": "One.\n\nTwo.", "b": "Two.\n\nThree."})
        'One.\n\nTwo.\n\nThree.'
    """
    paragraphs = (
        paragraph
        for topic in topics.values()
        for paragraph in topic.strip("\n").split("\n\n")
    )
    return "\n\n".join(dict.fromkeys(paragraphs))


def windows(tokens: np.ndarray, length: int = WINDOW) -> Tokens:
    """Cut a text into adjacent windows, each with the tokens that come next.

    The remainder at the end is dropped.

    Raises:
        DataError: If the text is shorter than one window.

    Example:
        >>> pieces = windows(np.arange(8), 3)
        >>> pieces.token.tolist(), pieces.target.tolist()
        ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    count = (len(tokens) - 1) // length
    if count < 1:
        raise DataError(
            f"a text of {len(tokens)} characters is too short for a window of "
            f"{length}: give at least {length + 1}."
        )
    whole = tokens[: count * length + 1]
    whole.flags.writeable = False  # and so are views of it
    return Tokens(whole[:-1].reshape(count, length), whole[1:].reshape(count, length))


def _topics() -> ModuleType:
    try:
        from pydoc_data import topics
    except ImportError as error:
        raise DataError(
            f"this Python {platform.python_version()} lacks the module pydoc_data, "
            "which holds the text: install the full standard library."
        ) from error
    return topics
