"""Sentences with classes: three datasets on which Kim (2014) evaluated TextCNN.

Each line of a file is the number of a class and a sentence, in Latin-1.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from fdl.arrays import DataError
from fdl.data.archived import Archived
from fdl.data.archives import Archive, Contents, File
from fdl.data.dataset import Dataset
from fdl.data.documents import assemble_documents
from fdl.data.own import Part

FOLDS = 10
"""Number of folds that take turns as the test part where none is published."""


@dataclasses.dataclass(frozen=True)
class Sentences(Archived):
    """Sentences with classes and a published test part."""

    def _dataset(self, contents: Contents, source: str) -> Dataset:
        parts, names = contents
        return assemble_documents(
            parts,
            name=self.name,
            title=self.archive.title,
            source=source,
            class_names=names,
            like=self.like,
        )


@dataclasses.dataclass(frozen=True)
class FoldedSentences(Sentences):
    """Sentences with classes, whose test part is a tenth of each class.

    Attributes:
        fold: Which tenth, from 1; a fixed permutation assigns the folds.
    """

    OPTIONS = ("fold",)

    fold: int = 1

    def __post_init__(self) -> None:
        """Check the number."""
        if self.fold > FOLDS:
            raise DataError(f"fold={self.fold} must be from 1 to {FOLDS}.")

    def _dataset(self, contents: Contents, source: str) -> Dataset:
        ((whole,), names) = contents[0].values(), contents[1]
        is_test = folds(np.asarray(whole.targets)) == self.fold
        parts = {
            part: Part(
                [text for text, here in zip(whole.inputs, rows, strict=True) if here],
                whole.targets[rows],
            )
            for part, rows in (("train", ~is_test), ("test", is_test))
        }
        found = super()._dataset((parts, names), source)
        base = self.name.partition("?")[0]
        every = (base, *(f"{base}?fold={fold}" for fold in range(1, FOLDS + 1)))
        same = (base, f"{base}?fold=1") if self.fold == 1 else (self.name,)
        others = tuple(name for name in every if name not in same)
        return found._replace(info=found.info._replace(overlaps=others))


def folds(label: Int[np.ndarray, " texts"]) -> Int[np.ndarray, " texts"]:
    """Return the fold of each text, from 1; folds are balanced, also within classes.

    Example:
        >>> folds(np.arange(20) % 2).reshape(10, 2).T
        array([[ 5,  1,  7,  4,  3,  8,  9,  6, 10,  2],
               [ 5,  2,  9,  8, 10,  1,  3,  4,  7,  6]])
    """
    shuffled = np.argsort(np.random.default_rng(0).random(len(label)), kind="stable")
    by_class = shuffled[np.argsort(label[shuffled], kind="stable")]
    fold = np.empty(len(label), int)
    fold[by_class] = np.arange(len(label)) % FOLDS + 1
    return fold


def read_sentences(data: bytes, name: str) -> Part:
    r"""Return the sentences of a file and their classes.

    Raises:
        DataError: If a line has another form.

    Example:
        >>> read_sentences(b"1 a fine film\n0 a dull film\n", "films").inputs
        ['a fine film', 'a dull film']
    """
    texts, classes = [], []
    # Not `splitlines`: MR has a Unicode line end within a sentence.
    for row, line in enumerate(data.decode("latin-1").split("\n"), start=1):
        if not line:
            continue
        label, _, text = line.partition(" ")
        if not label.isdecimal() or not text.strip():
            raise DataError(
                f"{name}: line {row} is not a class and a sentence: {line!r}."
            )
        texts.append(text)
        classes.append(int(label))
    return Part(texts, np.array(classes))


def _read(names: tuple[str, ...], files: Mapping[str, bytes]) -> Contents:
    parts = [read_sentences(data, name) for name, data in files.items()]
    return dict(zip(("train", "test"), parts, strict=False)), names


_ADDRESS = (
    "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/"
    "656a7ea29de3409aca87bb17935cf93c537527fa/data/"
)

_QUESTIONS = ("description", "entity", "abbreviation", "human", "location", "number")

SENTENCES = {
    "trec": Sentences(
        "trec",
        Archive(
            title="TREC questions",
            prepared="",
            folder="kim",
            files=(
                File(
                    "TREC.train.all",
                    292_402,
                    "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e",
                    _ADDRESS,
                ),
                File(
                    "TREC.test.all",
                    19_479,
                    "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566",
                    _ADDRESS,
                ),
            ),
            read=functools.partial(_read, _QUESTIONS),
            counts=(5_452, 500),
        ),
    ),
    "mr": FoldedSentences(
        "mr",
        Archive(
            title="MR, sentences of film reviews",
            prepared="",
            folder="kim",
            files=(
                File(
                    "rt-polarity.all",
                    1_259_719,
                    "b8846c3bbd59241f901efdc58f7c515e4b280ab3561fd1858caa5aa48da95a8a",
                    _ADDRESS,
                ),
            ),
            read=functools.partial(_read, ("negative", "positive")),
            counts=(9_595, 1_067),
        ),
    ),
    "subj": FoldedSentences(
        "subj",
        Archive(
            title="Subj, sentences of reviews and of plots of films",
            prepared="",
            folder="kim",
            files=(
                File(
                    "subj.all",
                    1_320_246,
                    "f3ffbe2aa8e4f3ba3e63e46dce51613854edbca122fb3aa758b9bce047ded23c",
                    _ADDRESS,
                ),
            ),
            read=functools.partial(_read, ("subjective", "objective")),
            counts=(9_000, 1_000),
        ),
    ),
}
"""Datasets with and without a published test part, by name."""
