"""All rules for which training examples are held out for validation.

- MNIST and Fashion-MNIST: the last share of the training images in published order, by
  default the last 10,000 of 60,000, as is usual for them.
- Windows of one text: the last share of the windows, which are contiguous. Windows
  drawn at random would have their neighbors in the training set.
- Pairs of texts: like everything else, but sources are drawn, each with all its
  targets: equal sources are never in two parts.
- Everything else: drawn with a fixed seed and stratified by class. Each class gives its
  share, rounded so that the total is right (largest remainders), but at least one
  example if it has two or more.

Both parts keep the published order, and the same share of the same examples always
holds out the same ones, whatever the route of loading.
"""

from collections.abc import Hashable, Iterable

import jax
import numpy as np
from jaxtyping import Int

from fdl.arrays import Array, Batch, DataError, Documents, Pairs, PyTree
from fdl.data.catalog import HoldOut
from fdl.data.checks import check
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.plain import SHARE

Rows = Int[np.ndarray, " rows"]


def hold_out(
    train: PyTree, share: float = SHARE, *, how: HoldOut = "stratified", seed: int = 0
) -> tuple[PyTree, PyTree]:
    """Split your own arrays into training and validation examples.

    Both parts keep the order of the examples.

    Args:
        train: A `Batch`, or any nesting of tuples, lists and dictionaries of arrays
            whose first axis counts examples.
        share: Share of the examples to hold out, between 0 and 1.
        how: `"stratified"` draws at random: the same share of each class of a `Batch`
            or of `Documents`, a share of the sources of `Pairs`, each with all its
            targets, and any examples of other data. `"last"` takes the last ones, which
            is right for pieces of one text or of one recording, whose neighbors are
            alike.
        seed: Seed of the draw; another seed holds out other examples.

    Returns:
        The remaining training examples and those held out, both in the form of `train`.
        NumPy arrays are read-only.

    Raises:
        DataError: If `share` is not between 0 and 1 or leaves one part empty, or the
            arrays do not pass `check`.

    Example:
        >>> batch = Batch(np.zeros((12, 8, 8, 1), np.uint8), np.arange(12) % 3)
        >>> train, validation = hold_out(batch, 1 / 4)
        >>> train.image.shape, np.bincount(train.label), np.bincount(validation.label)
        ((9, 8, 8, 1), array([3, 3, 3]), array([1, 1, 1]))
    """
    require_share(share)
    check(train)
    return divided(train, rows_to_hold_out(train, share, how=how, seed=seed))


def split(
    dataset: Dataset,
    share: float | None = SHARE,
    how: HoldOut = "stratified",
    *,
    seed: int = 0,
) -> Dataset:
    """Return a dataset with a share of its training examples held out.

    Args:
        dataset: A dataset without a validation part.
        share: As for `hold_out`; None to hold out nothing.
        how: As for `hold_out`.
        seed: As for `hold_out`.

    Raises:
        DataError: As for `hold_out`, or if the dataset has a validation part.

    Example:
        >>> from fdl.data.text import load
        >>> dataset = split(load(), 1 / 10, "last")
        >>> dataset.info.train_count // dataset.info.validation_count
        9
    """
    if share is None:
        return dataset
    if dataset.validation is not None:
        raise DataError(f"{dataset.info.title} has a validation part already.")
    rows = rows_to_hold_out(dataset.train, share, how=how, seed=seed)
    train, validation = divided(dataset.train, rows)
    if how == "stratified" and isinstance(train, (Batch, Documents)):
        _require_classes(dataset.info, share, train, validation)
    info = dataset.info._replace(
        train_count=dataset.info.train_count - len(rows), validation_count=len(rows)
    )
    files = dataset.files
    if files is not None:
        left, held_out = divided(files["train"], rows)
        files = {**files, "train": left, "validation": held_out}
    return dataset._replace(
        train=train, validation=validation, info=info, held_out=rows, files=files
    )


def _require_classes(
    info: DatasetInfo,
    share: float,
    train: Batch | Documents,
    validation: Batch | Documents,
) -> None:
    for what, part in (("to train on", train), ("held out", validation)):
        counts = np.bincount(np.asarray(part.label), minlength=info.num_classes)
        if not counts.all():
            raise DataError(
                f"{info.title}: with the validation share {share:.3g}, no example of "
                f"class {info.class_names[int(counts.argmin())]!r} is {what}: give "
                "another share, more examples, or hold out nothing (--validation none)."
            )


def join(dataset: Dataset) -> Dataset:
    """Return a dataset with its validation examples appended to the training ones."""
    train = jax.tree.map(
        lambda *parts: np.concatenate(parts), dataset.train, dataset.validation
    )
    count = dataset.info.train_count + dataset.info.validation_count
    info = dataset.info._replace(train_count=count, validation_count=0)
    files = None if dataset.files is None else dict(dataset.files)
    if files is not None:
        files["train"] = np.concatenate([files["train"], files.pop("validation")])
    return dataset._replace(
        train=_take(train, slice(None)),
        validation=None,
        info=info,
        held_out=None,
        files=files,
    )


def require_share(share: object) -> None:
    """Raise a `DataError` unless a share is a number between 0 and 1.

    Example:
        >>> require_share(1.5)
        Traceback (most recent call last):
        ...
        fdl.arrays.DataError: validation share 1.5 must be a number between 0 and 1, ...
    """
    if not (isinstance(share, int | float | np.number) and 0 < share < 1):
        raise DataError(
            f"validation share {share!r} must be a number between 0 and 1, such as "
            "1/6; to hold out nothing, load with validation=None."
        )


def stratified_counts(
    sizes: Int[np.ndarray, " classes"], total: int
) -> Int[np.ndarray, " classes"]:
    """Divide `total` examples among classes by size, with largest remainders.

    Example:
        >>> stratified_counts(np.array([50, 30, 20]), 7)
        array([4, 2, 1])
    """
    # Integers throughout, so that a class with a whole share gives exactly that.
    counts, remainders = np.divmod(sizes * total, sizes.sum())
    missing = total - counts.sum()
    counts[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return counts


def _one_of_each(
    counts: Int[np.ndarray, " classes"], sizes: Int[np.ndarray, " classes"]
) -> Int[np.ndarray, " classes"]:
    """Adjust counts so that each class of two or more gives one, if there are enough.

    Example:
        >>> _one_of_each(np.array([4, 2, 0]), np.array([50, 30, 3]))
        array([3, 2, 1])
    """
    counts = counts.copy()
    for poor in np.flatnonzero((counts == 0) & (sizes > 1)):
        rich = counts.argmax()
        if counts[rich] > 1:
            counts[rich] -= 1
            counts[poor] = 1
    return counts


def rows_of_sources(
    sources: Iterable[Hashable], share: float, how: str = "stratified", seed: int = 0
) -> Rows:
    """Return the rows to hold out so that equal sources are all in one part.

    Args:
        sources: Source of each row.
        share: Share of the distinct sources.
        how: As for `hold_out`, for sources in the order of their first occurrence.
        seed: As for `hold_out`.

    Example:
        >>> rows_of_sources(["read", "two", "read", "two", "one", "two"], 1 / 3, "last")
        array([4])
    """
    number: dict[Hashable, int] = {}
    place = [number.setdefault(source, len(number)) for source in sources]
    whole = np.arange(len(number))
    chosen = rows_to_hold_out(
        whole, share, how=how, seed=seed, what="different sources"
    )
    return np.flatnonzero(np.isin(place, chosen))


def rows_to_hold_out(
    train: PyTree,
    share: float,
    *,
    how: str = "stratified",
    seed: int = 0,
    what: str = "examples",
) -> Rows:
    """Return the rows that `hold_out` holds out, in order.

    Example:
        >>> rows_to_hold_out(np.zeros(12), 1 / 4, how="last")
        array([ 9, 10, 11])
    """
    if isinstance(train, Pairs):
        source = np.ascontiguousarray(train.source)
        return rows_of_sources((row.tobytes() for row in source), share, how, seed)
    count = len(jax.tree.leaves(train)[0])
    number = round(share * count)
    if not 1 <= number < count:
        raise DataError(
            f"validation share {share:.4g} of {count} {what} holds out {number} and "
            f"leaves {count - number} to train on, and both parts need at least one: "
            f"give another share, more {what}, or hold out nothing (--validation none)."
        )
    if how == "last":
        return np.arange(count - number, count)
    if how != "stratified":
        raise DataError(f"how={how!r} must be 'stratified' or 'last'.")
    classes = np.zeros(count, int)
    if isinstance(train, (Batch, Documents)):
        classes = np.unique(np.asarray(train.label), return_inverse=True)[1]
    sizes = np.bincount(classes)
    counts = _one_of_each(stratified_counts(sizes, number), sizes)
    shuffled = np.argsort(np.random.default_rng(seed).random(count), kind="stable")
    members = [shuffled[classes[shuffled] == index] for index in range(len(counts))]
    return np.sort(
        np.concatenate([m[:n] for m, n in zip(members, counts, strict=True)])
    )


def divided(train: PyTree, rows: Rows) -> tuple[PyTree, PyTree]:
    """Return the other rows of arrays, and these, which are in order.

    Example:
        >>> divided(np.array([5, 6, 7]), np.array([1]))
        (array([5, 7]), array([6]))
    """
    count = len(jax.tree.leaves(train)[0])
    left = count - len(rows)
    if rows[0] == left:  # these are the last ones, and a slice copies nothing
        return _take(train, slice(left)), _take(train, slice(left, count))
    return _take(train, np.delete(np.arange(count), rows)), _take(train, rows)


def _take(tree: PyTree, rows: Rows | slice) -> PyTree:
    def take(leaf: Array) -> Array:
        part = leaf[rows]
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
        return part

    return jax.tree.map(take, tree)
