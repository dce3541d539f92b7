"""Examples that stay where they are stored, and are fetched by index."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

import jax
import numpy as np
from jaxtyping import Int

from fdl.arrays import DataError, PyTree


@runtime_checkable
class Stored(Protocol):
    """Examples that are fetched into memory some at a time.

    `fdl.fit`, `fdl.fit_many`, `fdl.evaluate` and `fdl.predict` take any object with
    these two methods as data. `fdl.data.stored` creates one from arrays on disk, or
    from a dataset of Grain or PyTorch. Messages use its `name`, if it has one.

    Example:
        >>> class Squares:
        ...     name = "squares"
        ...     def __len__(self):
        ...         return 10**6
        ...     def rows(self, index):
        ...         return index[:, None] ** 2
        >>> Squares().rows(np.array([2, 3])).tolist()
        [[4], [9]]
    """

    def __len__(self) -> int:
        """Return the number of examples, which must not change."""
        ...

    def rows(self, index: Int[np.ndarray, " n"]) -> PyTree:
        """Return some examples, as a pytree of NumPy arrays with a common first axis.

        It is called in a separate thread, one call at a time.

        Args:
            index: Indices of the examples, from 0, in increasing order and without
                repetition.
        """
        ...


def is_stored(data: Any) -> TypeGuard[Stored]:
    """Return whether data are fetched by index.

    Example:
        >>> is_stored(stored(np.arange(3))), is_stored(np.arange(3))
        (True, False)
    """
    return callable(getattr(data, "rows", None)) and hasattr(data, "__len__")


def name_of(data: Any) -> str:
    """Return the name of stored data in messages.

    Example:
        >>> name_of(stored(np.arange(3))), name_of(stored(np.arange(3), name="three"))
        ('the stored arrays', 'three')
    """
    name = getattr(data, "name", None)
    return name if isinstance(name, str) else f"the {type(data).__name__}"


def stored(
    data: Any,
    *,
    convert: Callable[[Any], PyTree] | None = None,
    name: str | None = None,
) -> Stored:
    """Leave examples where they are stored, to be fetched some at a time.

    Args:
        data: A pytree of arrays with a common first axis, such as a `Batch`: each an
            `np.load(file, mmap_mode="r")`, a dataset of an open HDF5 file, an array in
            memory, or anything else with a shape, a dtype and rows that can be sliced.
            Or a dataset of records with a length, indexed from 0: a `MapDataset` of
            Grain, a data source of TensorFlow Datasets, a map-style dataset of PyTorch.
        convert: Function applied to each record, such as
            `lambda r: fdl.Batch(r["image"], r["label"])`; None for none, if a record is
            a pytree of arrays and numbers.
        name: Name in messages; None for the names of the files.

    Raises:
        DataError: If the data have another form, or the arrays differ in length.

    Example:
        >>> import fdl, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/images.npy", np.zeros((50, 28, 28, 1), np.uint8))
        ...     images = np.load(f"{folder}/images.npy", mmap_mode="r")
        ...     data = stored(fdl.Batch(images, np.arange(50) % 10))
        ...     data.name, len(data), data.rows(np.array([3, 7]))
        ('images.npy', 50, Batch(image=uint8[2, 28, 28, 1], label=int64[2]))
    """
    leaves = [] if isinstance(data, Iterator) else jax.tree.leaves(data)
    if leaves and all(map(_is_array, leaves)):
        if convert is not None:
            raise DataError("convert= applies to records, but these are arrays.")
        return _Arrays(data, name)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _Records(data, convert, name)
    raise DataError(
        f"a {type(data).__name__} is neither arrays nor records with a length and "
        "indices. Wrap an iterator of batches in fdl.data.Batches."
    )


class _Arrays:
    """Arrays with a common first axis."""

    def __init__(self, data: PyTree, name: str | None) -> None:
        self._data = data
        leaves = jax.tree.leaves(data)
        files = dict.fromkeys(filter(None, map(_file, leaves)))
        self.name = name or ", ".join(files) or "the stored arrays"
        lengths = [len(x) if x.shape else 0 for x in leaves]
        if len({*lengths}) > 1:
            raise DataError(
                f"{self.name}: the arrays have {', '.join(map(str, lengths))} "
                "examples, but must have equally many."
            )

    def __len__(self) -> int:
        return len(jax.tree.leaves(self._data)[0])

    def rows(self, index: Int[np.ndarray, " n"]) -> PyTree:
        return jax.tree.map(lambda x: _rows(x, index), self._data)


def _is_array(x: Any) -> bool:
    return all(hasattr(x, name) for name in ("shape", "dtype", "__getitem__"))


def _file(array: Any) -> str | None:
    """Return the name of the file that an array is in."""
    named = getattr(array, "filename", None)
    named = named or getattr(getattr(array, "file", None), "filename", None)
    return Path(named).name if isinstance(named, str | os.PathLike) else None


def _rows(array: Any, index: Int[np.ndarray, " n"]) -> np.ndarray:
    if isinstance(array, np.ndarray):
        place = _place(array)
        return array[index] if place is None else _read(*place, array, index)
    # HDF5 and the like take a hundred times as long for scattered rows in one read.
    found = np.empty((len(index), *array.shape[1:]), array.dtype)
    for place, first, count in _together(index):
        found[place : place + count] = array[first : first + count]
    return found


def _place(array: np.ndarray) -> tuple[str, int] | None:
    """Return the file that maps an array contiguously, and the offset of the array."""
    whole: Any = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    path, begin, mode = (
        getattr(whole, name, None) for name in ("filename", "offset", "mode")
    )
    # An array mapped with mode "c" may have been changed in memory alone.
    if path is None or mode == "c" or not array.flags.c_contiguous:
        return None
    if not hasattr(os, "preadv"):
        return None
    address = lambda x: x.__array_interface__["data"][0]
    return str(path), begin + address(array) - address(whole)


def _read(
    path: str, begin: int, array: np.ndarray, index: Int[np.ndarray, " n"]
) -> np.ndarray:
    """Return rows of a file, read rather than mapped.

    Mapped pages count as memory of the process, with 64 KB around each row.
    """
    found = np.empty((len(index), *array.shape[1:]), array.dtype)
    size = found[:1].nbytes
    content = found.reshape(-1).view(np.uint8).data
    with open(path, "rb", buffering=0) as file:
        for place, first, count in _together(index):
            part = content[place * size : (place + count) * size]
            start = begin + first * size
            while part:  # a read may return less than requested
                got = os.preadv(file.fileno(), [part], start)
                if not got:
                    raise DataError(f"{path} was truncated while it was read.")
                part, start = part[got:], start + got
    return found


def _together(index: Int[np.ndarray, " n"]) -> list[tuple[int, int, int]]:
    """Return runs of consecutive indices: position, first index, count.

    Example:
        >>> _together(np.array([3, 4, 5, 9]))
        [(0, 3, 3), (3, 9, 1)]
    """
    places = np.flatnonzero(np.diff(index, prepend=-2) != 1)
    counts = np.diff(places, append=len(index))
    return list(
        zip(places.tolist(), index[places].tolist(), counts.tolist(), strict=True)
    )


class _Records:
    """Records by index, each a pytree of arrays and numbers."""

    def __init__(
        self, data: Any, convert: Callable[[Any], PyTree] | None, name: str | None
    ) -> None:
        self._data, self._convert = data, convert
        self.name = name or f"the {type(data).__name__}"

    def __len__(self) -> int:
        return len(self._data)

    def rows(self, index: Int[np.ndarray, " n"]) -> PyTree:
        numbers = index.tolist()
        several = getattr(self._data, "__getitems__", None)
        found = several(numbers) if several else [self._data[i] for i in numbers]
        if self._convert is not None:
            found = [self._convert(record) for record in found]
        each = [jax.tree.map(np.asarray, record) for record in found]
        form = _form(each[0])
        for number, record in zip(numbers, each, strict=True):
            if _form(record) != form:
                raise DataError(
                    f"{self.name}: record {number} is {described(record)}, but record "
                    f"{numbers[0]} is {described(each[0])}: convert them to one form."
                )
        return jax.tree.map(lambda *leaves: np.stack(leaves), *each)


def _form(record: PyTree) -> Any:
    leaves, structure = jax.tree.flatten(record)
    return structure, [(x.shape, x.dtype) for x in leaves]


def described(tree: PyTree) -> str:
    """Return the dtypes and shapes of arrays, as text.

    Example:
        >>> described({"inputs": np.zeros((2, 3)), "targets": np.arange(2)})
        'inputs float64[2, 3], targets int64[2]'
    """

    def one(path: Any, x: Any) -> str:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        kind = f"{x.dtype}{list(x.shape)}" if _is_array(x) else f"a {type(x).__name__}"
        return f"{name} {kind}".strip()

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return ", ".join(one(path, x) for path, x in leaves) or "nothing"
