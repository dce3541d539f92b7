"""Matching of a dataset to another one, by names of classes, columns and characters."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from fdl.arrays import DataError, PyTree, Tokens
from fdl.data.dataset import Dataset, DatasetInfo

_log = logging.getLogger(__name__)


def match(dataset: Dataset, like: DatasetInfo) -> Dataset:
    """Return a dataset with the classes, columns and characters of another.

    A warning names classes that it lacks; columns that the other lacks are dropped.

    Args:
        dataset: The dataset.
        like: Description of the other. If the kinds differ, or both are pairs, whose
            sources apply `like` themselves, the dataset is returned as it is.

    Raises:
        DataError: If it has a class, a category or a character that the other lacks,
            or lacks one of its columns; names it.

    Example:
        >>> from fdl.data import from_arrays
        >>> x = np.zeros((12, 8, 8), np.uint8)
        >>> pets = from_arrays(x, ["cat", "dog", "owl"] * 4)
        >>> owls = from_arrays(x, ["owl", "cat"] * 6, name="others")
        >>> sorted(match(owls, pets.info).test.label.tolist())
        [0, 2]
    """
    info = dataset.info
    if info.kind != like.kind or info.kind == "pair":
        return dataset  # pairs were encoded with the vocabularies of the other
    changes: list[Callable[[PyTree], PyTree]] = []
    if info.kind == "text":
        new = _numbers_in(info, like, "character")
        changes.append(lambda part: Tokens(new[part.token], new[part.target]))
    elif info.kind not in ("number", "music"):
        new = _numbers_in(info, like, "class")
        changes.append(lambda part: part._replace(label=new[part.label]))
    if like.columns and info.kind in ("vector", "number"):
        columns = _columns(info, like)
        changes.append(lambda part: type(part)(columns(part[0]), *part[1:]))
        info = info._replace(columns=like.columns, input_shape=like.input_shape)
    parts: list[Any] = []
    for part in dataset[:3]:
        if part is not None:
            for change in changes:
                part = change(part)
            for array in part:
                array.flags.writeable = False
        parts.append(part)
    if info.kind != "number":
        names = {"class_names": like.class_names, "num_classes": like.num_classes}
        info = info._replace(**names)
    train, validation, test = parts
    return dataset._replace(train=train, validation=validation, test=test, info=info)


def _numbers_in(info: DatasetInfo, like: DatasetInfo, what: str) -> np.ndarray:
    """Return the number of each class or character in the other dataset."""
    own = {name: number for number, name in enumerate(like.class_names)}
    new = [name for name in info.class_names if name not in own]
    if new:
        raise DataError(
            f"{info.title} has the {what} {_listed(new)}, which {like.title} lacks; "
            f"it has {_listed(like.class_names)}."
        )
    missing = [name for name in own if name not in info.class_names]
    if missing and what == "class":
        _log.warning(
            "%s lacks the class %s, which is not evaluated",
            info.title,
            _listed(missing),
        )
    return np.array([own[name] for name in info.class_names], np.int32)


def _listed(names: Any) -> str:
    shown = ", ".join(map(repr, names[:12]))
    return f"{shown}, ... ({len(names)})" if len(names) > 12 else shown


def _columns(info: DatasetInfo, like: DatasetInfo) -> Callable[[Any], np.ndarray]:
    """Return a function that converts rows to the columns of the other dataset."""
    place = {name: number for number, name in enumerate(info.columns)}
    of = lambda name: name.partition("=")[0]
    known = {of(name) for name in like.columns if "=" in name}
    for name in info.columns:
        if name not in like.columns and "=" in name and of(name) in known:
            raise DataError(
                f"{info.title} has the category {name!r}, which {like.title} lacks: "
                f"{', '.join(each for each in like.columns if of(each) == of(name))}."
            )
    there = {of(name) for name in info.columns if "=" in name}
    missing = [
        name
        for name in like.columns
        if name not in place and not ("=" in name and of(name) in there)
    ]
    if missing:
        raise DataError(
            f"{info.title} lacks the column {_listed(missing)} of {like.title}; "
            f"it has {_listed(info.columns)}."
        )

    def rearranged(rows: Any) -> np.ndarray:
        # A category that does not occur is 0 in all rows.
        none = np.zeros(len(rows), np.float32)
        found = [
            rows[:, place[name]] if name in place else none for name in like.columns
        ]
        return np.stack(found, axis=1)

    return rearranged
