"""Datasets of users' own arrays."""

import functools
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.arrays import Array, Batch, DataError, PyTree, Rows
from fdl.data import splits
from fdl.data.checks import check
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.plain import Fit

_log = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")


class Part(NamedTuple):
    """Inputs and targets of a part of a dataset.

    Attributes:
        inputs: Images `(batch, height, width[, channels])`, or vectors `(batch,
            features)`, or a sequence of texts.
        targets: Class of each input, any integers or names; or floating point numbers
            to predict; or the text that each input becomes.
    """

    inputs: Any
    targets: Any


def from_arrays(
    inputs: Array | Sequence[str],
    targets: Array | Sequence[Any],
    *,
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    seed: int = 0,
) -> Dataset:
    """Make a dataset from arrays or texts.

    Without a test part, a sixth of the examples becomes one, stratified by class and
    drawn with a seed.

    Args:
        inputs: Images, `(batch, height, width)` or `(batch, height, width, channels)`,
            uint8 or floating point in [0, 1]; or vectors, `(batch, features)`; or
            texts.
        targets: Class of each input: whole numbers or names. Numbers are used as they
            are if they count from 0 without a gap; otherwise the classes are the values
            that occur, in order. For vectors, floating point numbers are also possible,
            which are predicted themselves.
        validation: Inputs and targets for model selection; None for none, so that
            `fdl.data.split` can hold out some.
        test: Inputs and targets for evaluation; None to split off some of the others.
        class_names: Name of each class, if targets are numbers from 0; None for the
            values themselves.
        name: Name of the dataset.
        seed: Seed for drawing the test part.

    Raises:
        DataError: If the arrays do not fit together, there is only one class, a part
            lacks a class, or a class has only one example to split into a training and
            a test part.

    Example:
        >>> image = np.zeros((12, 8, 8), np.uint8)
        >>> data = from_arrays(image, ["cat", "dog", "owl"] * 4, name="pets")
        >>> data.info.class_names, data.train.image.shape, data.info.test_count
        (('cat', 'dog', 'owl'), (9, 8, 8, 1), 3)
    """
    given = {"train": (inputs, targets), "validation": validation, "test": test}
    are_texts = len(inputs) > 0 and isinstance(inputs[0], str)
    # A NumPy array of texts would be as wide as the longest.
    as_inputs = (lambda texts: texts) if are_texts else np.asarray
    parts = {
        part: Part(as_inputs(pair[0]), np.asarray(pair[1]))
        for part, pair in given.items()
        if pair is not None
    }
    # Imported here, since it imports this module.
    from fdl.data.documents import assemble_documents

    return (assemble_documents if are_texts else assemble)(
        parts,
        name=name,
        title=name,
        source="arrays",
        class_names=None if class_names is None else tuple(class_names),
        seed=seed,
    )


def assemble(
    parts: Mapping[str, Part],
    *,
    name: str,
    title: str,
    source: str,
    class_names: tuple[str, ...] | None = None,
    columns: tuple[str, ...] = (),
    target: str = "target",
    seed: int = 0,
    like: DatasetInfo | None = None,
    fit: Fit = "pad",
    files: Mapping[str, np.ndarray] | None = None,
) -> Dataset:
    """Build a dataset from its training part and, optionally, the two others.

    Args:
        parts: Parts by name.
        name: Name for `load`.
        title: Display name.
        source: Where the data come from.
        class_names: As for `from_arrays`.
        columns: Name of each number of a vector.
        target: Name of the number to predict.
        seed: As for `from_arrays`.
        like: As for `fdl.data.load`; parts may then lack classes.
        fit: As in `DatasetInfo`; `"digit"` implies light on dark.
        files: As in `Dataset`, for the given parts.

    Raises:
        DataError: As for `from_arrays`.
    """
    found = {part: _inputs(title, part, pair) for part, pair in parts.items()}
    _require_shape(title, found)
    batches: dict[str, Any]
    if all(np.asarray(pair.targets).dtype.kind == "f" for pair in parts.values()):
        names = (target,)
        batches = {
            part: Rows(found[part], _numbers(title, part, pair.targets))
            for part, pair in parts.items()
        }
        kind = "number"
        if found["train"].ndim != 2:
            raise DataError(
                f"{title}: targets are floating point, but must be the class of each "
                "image, a whole number or a name."
            )
    else:
        labels, names = _classes(title, parts, class_names)
        if like is None:
            _require_classes(title, labels, names)
        batches = {part: Batch(found[part], labels[part]) for part in found}
        kind = "image" if found["train"].ndim == 4 else "vector"
    for batch in batches.values():
        check(batch)
    if "test" not in batches and like is not None:
        batches["test"] = batches["train"]
        files = None if files is None else {**files, "test": files["train"]}
        source += "; no test part, so all of it is evaluated"
    elif "test" not in batches:
        rows = _test_rows(title, batches["train"], names, seed)
        batches |= _with_test(batches["train"], rows)
        files = None if files is None else {**files, **_with_test(files["train"], rows)}
        source += f"; no test part, so a sixth was drawn with seed {seed}"
    train, validation, test = (batches.get(part) for part in PARTS)
    assert train is not None
    assert test is not None
    for batch in batches.values():
        for array in batch:
            np.asarray(array).flags.writeable = False
    means, deviations = _spread(train) if kind != "image" else ((), ())
    info = DatasetInfo(
        name=name,
        title=title,
        source=source,
        num_classes=len(names),
        class_names=names,
        input_shape=train[0].shape[1:],
        train_count=len(train[0]),
        validation_count=0 if validation is None else len(validation[0]),
        test_count=len(test[0]),
        checksum=checksum(batches),
        overlaps=(),
        kind=kind,
        columns=columns,
        means=means,
        deviations=deviations,
        fit=fit,
        light_on_dark=fit == "digit",
    )
    return Dataset(train, validation, test, info, files=files)


def _numbers(title: str, part: str, targets: Array) -> np.ndarray:
    """Return the numbers to predict, one for each example."""
    column = np.asarray(targets, np.float32)
    if column.ndim == 1:
        column = column[:, None]
    if column.ndim != 2 or column.shape[1] != 1:
        raise DataError(
            f"{title}: targets of the {part} part have shape {column.shape}: expected "
            "one number for each example. For one-hot rows, use targets.argmax(-1)."
        )
    return column


def _spread(train: Batch | Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each number."""
    columns = [np.asarray(array) for array in train if array.ndim == 2]
    numbers = np.concatenate(columns, axis=1).astype(np.float64)
    deviation = numbers.std(axis=0)
    deviation[deviation == 0] = 1
    return tuple(numbers.mean(axis=0).tolist()), tuple(deviation.tolist())


def _inputs(title: str, part: str, pair: Part) -> np.ndarray:
    inputs = np.asarray(pair.inputs)
    if inputs.ndim == 3:
        inputs = inputs[..., None]
    if inputs.dtype == bool:
        inputs = inputs.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(inputs.dtype, np.floating):
        inputs = inputs.astype(np.float32)
    elif inputs.ndim == 2 and np.issubdtype(inputs.dtype, np.integer):
        inputs = inputs.astype(np.float32)  # numbers in a table are not pixels
    if inputs.ndim not in (2, 4):
        raise DataError(
            f"{title}: inputs of the {part} part have shape {inputs.shape}: expected "
            "images, (batch, height, width, channels), or vectors, (batch, features)."
        )
    if len(inputs) == 0:
        raise DataError(f"{title}: the {part} part is empty.")
    if len(inputs) != len(pair.targets):
        raise DataError(
            f"{title}: the {part} part has {len(inputs)} inputs and "
            f"{len(pair.targets)} targets."
        )
    return inputs.view()


def _require_shape(title: str, found: Mapping[str, np.ndarray]) -> None:
    first = found["train"]
    for part, inputs in found.items():
        if inputs.shape[1:] != first.shape[1:] or inputs.dtype != first.dtype:
            raise DataError(
                f"{title}: an input of the {part} part is {inputs.dtype}"
                f"{list(inputs.shape[1:])}, one of the train part {first.dtype}"
                f"{list(first.shape[1:])}: convert them to one form."
            )


def _classes(
    title: str, parts: Mapping[str, Part], class_names: tuple[str, ...] | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return labels counted from 0, and the name of each class."""
    targets = {part: _column(title, part, pair.targets) for part, pair in parts.items()}
    every = np.concatenate(list(targets.values()))
    values = np.unique(every)
    if class_names is not None:
        if every.dtype.kind not in "iu" or not (
            values[0] >= 0 and values[-1] < len(class_names)
        ):
            raise DataError(
                f"{title}: with {len(class_names)} class names, targets must be whole "
                f"numbers from 0 to {len(class_names) - 1}, but one is "
                f"{values[-1] if values[0] >= 0 else values[0]!r}."
            )
        values = np.arange(len(class_names))
    labels = {
        part: np.searchsorted(values, column).astype(np.int32)
        for part, column in targets.items()
    }
    return labels, class_names or tuple(str(value) for value in values.tolist())


def _column(title: str, part: str, targets: Array) -> np.ndarray:
    column = np.asarray(targets)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]  # the form of MedMNIST and CIFAR-10
    if column.ndim != 1 or column.dtype.kind not in "iubU":
        raise DataError(
            f"{title}: targets of the {part} part are {column.dtype}"
            f"{list(column.shape)}: expected the class of each example, a whole number "
            "or a name. For one-hot rows, use targets.argmax(-1)."
        )
    return column


def _require_classes(
    title: str, labels: Mapping[str, np.ndarray], names: tuple[str, ...]
) -> None:
    """Raise a DataError if there is only one class, or a part lacks one."""
    if len(names) < 2:
        raise DataError(
            f"{title} has only one class, {''.join(names)!r}: at least two are needed."
        )
    for part, label in labels.items():
        counts = np.bincount(label, minlength=len(names))
        if not counts.all():
            raise DataError(
                f"{title}: the {part} part lacks the class "
                f"{names[int(counts.argmin())]!r}, which another part or the list of "
                "names has."
            )


def _with_test(whole: PyTree, rows: np.ndarray) -> dict[str, PyTree]:
    return dict(zip(("train", "test"), splits.divided(whole, rows), strict=True))


def _test_rows(
    title: str, whole: Batch | Rows, names: tuple[str, ...], seed: int
) -> np.ndarray:
    count, share, how = len(whole[0]), splits.SHARE, ""
    if isinstance(whole, Batch):
        counts = np.bincount(whole.label, minlength=len(names))
        if counts.min() < 2:
            raise DataError(
                f"{title}: the class {names[int(counts.argmin())]!r} has one example: "
                "a class needs at least 2, one to train on and one to test."
            )
        share, how = max(share, len(names) / count), "stratified by class and "
    rows = splits.rows_to_hold_out(whole, share, seed=seed)
    say(
        f"{title} has no test part: {len(rows):,} of its {count:,} examples became "
        f"one, {how}drawn with seed {seed}"
    )
    return rows


@functools.cache  # once: a command may load the same data several times
def say(message: str) -> None:
    """Log a warning, but not twice."""
    _log.warning(message)


def checksum(batches: Mapping[str, PyTree]) -> str:
    """Return one sha256 of all arrays of the parts."""
    digest = hashlib.sha256()
    for part in PARTS:
        for array in batches.get(part, ()):
            digest.update(f"{part} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
