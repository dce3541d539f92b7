"""Parts of data: arrays, or stored examples that are checked as they are fetched."""

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from fdl.arrays import Buckets, DataError, PyTree
from fdl.data import Batches, Stored, check
from fdl.data.checks import check_batch_size
from fdl.data.stored import described, is_stored, name_of
from fdl.train.placement import Placement
from fdl.train.steps import draw_order

_MOST = 2**31 - 1  # examples: an order holds their indices as int32


class Fetched:
    """Stored examples, which are checked as they are fetched.

    Attributes:
        name: Their name in error messages.
        one: The first example, as a batch.
    """

    def __init__(self, stored: Stored) -> None:
        """Fetch the first example.

        Raises:
            DataError: If there is none, or it does not consist of numeric arrays.
        """
        self._stored, self._count = stored, len(stored)
        if not 1 <= self._count <= _MOST:
            raise DataError(
                f"{name_of(stored)} has {self._count:,} examples, but must have 1 to "
                f"{_MOST:,}."
            )
        self._begin(name_of(stored), stored.rows(np.arange(1)))

    def _begin(self, name: str, one: PyTree) -> None:
        self.name = name
        self._looks: list[Callable[[PyTree], None]] = [check]
        self._look(check, one, self._numbered(np.arange(1)))
        self.one = jax.tree.map(np.array, one)
        self._require_like_first(one, 1, "row 0")

    def __len__(self) -> int:
        """Return the number of examples."""
        return self._count

    def must_pass(self, look: Callable[[PyTree], None]) -> None:
        """Check all examples from now on with a function that raises DataError."""
        self._look(look, self.one, self._numbered(np.arange(1)))
        self._looks.append(look)

    def step_bytes(self, batch_size: int, words: Any) -> int:
        """Return how many bytes the examples of a step take."""
        each = sum(x.nbytes for x in jax.tree.leaves(self.one))
        return each * batch_size * math.prod(words.shape[:-1])

    def order(self, words: Any, epoch: int, part: int) -> Any:
        """Return the order of an epoch: one, or one per member."""
        return draw_order(words, epoch, len(self), part)

    def rows_and_places(self, index: Any) -> tuple[PyTree, Any]:
        """Return the distinct examples of an index, and its positions in them."""
        wanted, places = np.unique(index, return_inverse=True)
        return self.fetch(wanted.astype(np.int64)), places.reshape(index.shape)

    def fetch(self, index: Int[np.ndarray, " n"]) -> PyTree:
        """Return the examples at increasing indices.

        Raises:
            DataError: If their shapes differ from the first, or a check fails.
        """
        rows = self._stored.rows(index)
        if len(self._stored) != self._count:
            raise DataError(
                f"{self.name} had {self._count:,} examples and now has "
                f"{len(self._stored):,}: the data must not change while they are read."
            )
        where = f"{len(index):,} rows from {index[0]} to {index[-1]}"
        self._require_like_first(rows, len(index), where)
        for look in self._looks:
            self._look(look, rows, self._numbered(index))
        return rows

    def _numbered(self, index: Int[np.ndarray, " n"]) -> Callable[[int], str]:
        """Return a function that names a fetched row in error messages."""
        return lambda place: f"row {index[place]}"

    def _require_like_first(self, rows: PyTree, count: int, where: str) -> None:
        # A view of a single zero; a `ShapeDtypeStruct` may not keep 64 bits.
        sized = lambda x: np.broadcast_to(np.zeros((), x.dtype), (count, *x.shape[1:]))
        wanted = jax.tree.map(sized, self.one)
        if _form(rows) != _form(wanted):
            raise DataError(
                f"{self.name} gave {described(rows)} for {where}, not "
                f"{described(wanted)}: all must have the shape and dtype of the first."
            )

    def _look(
        self, look: Callable[[PyTree], None], rows: PyTree, called: Callable[[int], str]
    ) -> None:
        try:
            look(rows)
        except DataError as error:
            name = lambda found: called(int(found[1]))
            said = re.sub(r"\brow (\d+)\b", name, str(error))
            raise DataError(f"{self.name}, in the rows last read: {said}") from error


class Followed(Fetched):
    """Batches of an iterator, which are used in the order in which they arrive."""

    def __init__(self, batches: Batches, batch_size: int) -> None:
        """Check the first batch without taking it.

        Raises:
            DataError: If there is none, or its size differs.
        """
        self.batches, self._size = batches, batch_size
        self._count = batches.steps_per_epoch * batch_size
        first = batches.peek()
        self._begin(batches.name, jax.tree.map(lambda x: x[:1], first))
        self._require_batch(first, batches.step)

    def begin(self, step: int, *, anew: bool) -> None:
        """Make sure that the next batch is the one of a step.

        Raises:
            ValueError: If it is not.
        """
        if anew:
            self.batches.begin(step)
        elif self.batches.step != step:
            how = (
                f"call set_state with the result of get_state({step})"
                if self.batches.can_save
                else "it has no get_state and set_state and cannot return there, so "
                "start over without a state"
            )
            raise ValueError(
                f"state has made {step} updates, but {self.name} is at batch "
                f"{self.batches.step}: {how}."
            )

    def step_bytes(self, batch_size: int, words: Any) -> int:
        """Return how many bytes a batch takes, which all members share."""
        return super().step_bytes(
            batch_size, words[..., 0, :] if words.ndim > 1 else words
        )

    def order(self, words: Any, epoch: int, part: int) -> Any:
        """Return the order of arrival."""
        return np.arange(len(self), dtype=np.int32)

    def rows_and_places(self, index: Any) -> tuple[PyTree, Any]:
        """Return the next batches, with as many rows as the index has."""
        step = self.batches.step
        taken = self.batches.take(len(index) // self._size)
        for number, batch in enumerate(taken, step):
            self._require_batch(batch, number)
        rows = jax.tree.map(lambda *each: np.concatenate(each), *taken)
        called = lambda row: (
            f"row {row % self._size} of batch {step + row // self._size}"
        )
        for look in self._looks:
            self._look(look, rows, called)
        return rows, np.arange(len(index))

    def _require_batch(self, batch: PyTree, number: int) -> None:
        sizes = {len(x) if np.ndim(x) else 0 for x in jax.tree.leaves(batch)}
        if sizes != {self._size}:
            raise DataError(
                f"{self.name} gave {described(batch)} as batch {number}, but "
                f"batch_size={self._size}: every batch must have that many rows; drop "
                "the remainder."
            )
        self._require_like_first(batch, self._size, f"batch {number}")


def _form(rows: PyTree) -> Any:
    leaves, structure = jax.tree.flatten(rows)
    return structure, [(np.shape(x), getattr(x, "dtype", None)) for x in leaves]


def fetched(data: PyTree, batch_size: int | None = None) -> PyTree:
    """Wrap stored examples and batches to fetch them from; return arrays as they are.

    Args:
        data: The data.
        batch_size: Rows per batch; None if `fdl.data.Batches` are not allowed.

    Raises:
        DataError: If the first example is invalid, or `Batches` are not allowed.
    """
    if isinstance(data, Buckets):
        return Buckets(tuple(fetched(part) for part in data.parts))
    if isinstance(data, Batches):
        if batch_size is None:
            raise DataError(
                f"{data.name} yields each batch only once, so it can only be the "
                "training data of fdl.fit: pass arrays or fdl.data.stored examples."
            )
        return Followed(data, batch_size)
    return Fetched(data) if is_stored(data) else data


def parts(data: PyTree) -> tuple[PyTree, ...]:
    """Return the parts of data whose arrays differ in shape; usually there is one."""
    return data.parts if isinstance(data, Buckets) else (data,)


def num_examples(part: PyTree) -> int:
    """Return the length of the first axis."""
    return len(jax.tree.leaves(part)[0])


def check_part(part: PyTree, *, batch_size: int | None = None) -> None:
    """Raise DataError if a part is invalid; stored rows are checked when fetched."""
    if not isinstance(part, Fetched):
        check(part, batch_size=batch_size)
    elif batch_size is not None:
        check_batch_size(batch_size, len(part))


def look_at(part: PyTree, look: Callable[[PyTree], None]) -> None:
    """Check a part with a function: arrays now, stored examples when fetched."""
    if isinstance(part, Fetched):
        part.must_pass(look)
    else:
        look(part)


def moved(data: PyTree, placement: Placement) -> PyTree:
    """Move arrays to the device; stored examples stay where they are."""
    if isinstance(data, Buckets):
        return Buckets(tuple(moved(part, placement) for part in data.parts))
    return data if isinstance(data, Fetched) else placement.data(data)


def first_of(part: PyTree) -> PyTree:
    """Return the first example of a part, as a batch."""
    if isinstance(part, Fetched):
        return part.one
    return jax.tree.map(lambda x: x[:1], part)
