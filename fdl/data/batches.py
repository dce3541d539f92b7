"""Streaming data: batches from an iterator."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from fdl.arrays import DataError, PyTree
from fdl.ranges import require_whole


class Batches:
    """Batches from an iterator, for epochs of a fixed number of steps in `fdl.fit`.

    Training takes batches in the order in which they arrive: nothing is shuffled, and
    all members of a learner of many see the same batches. If examples can be fetched by
    index, prefer `fdl.data.stored`, which supports shuffling, evaluation and resuming.

    To resume, the position of the iterator must be saved with the state, since batches
    are prefetched. An iterator that supports this has `get_state()` and
    `set_state(...)`, like those of Grain.

    Args:
        batches: An iterator, or an iterable that is restarted when it ends, such as an
            `IterDataset` of Grain or a `DataLoader` of PyTorch. Each batch is a pytree
            of arrays with `batch_size` rows.
        steps_per_epoch: Number of batches in an epoch, at least 1.
        convert: Function applied to each batch, such as
            `lambda b: fdl.Batch(b["image"], b["label"])`; None for none.
        name: Name in messages.

    Raises:
        DataError: If `batches` is not iterable.
        ValueError: If `steps_per_epoch` is below 1.

    Example:
        >>> import fdl, itertools, optax
        >>> model = fdl.models.MLP(10)
        >>> learner = fdl.learners.supervised(
        ...     model, fdl.losses.cross_entropy, optax.adam(1e-2)
        ... )
        >>> batch = fdl.Batch(np.eye(10).reshape(10, 5, 2, 1), np.arange(10))
        >>> batches = Batches(itertools.repeat(batch), steps_per_epoch=50)
        >>> run = fdl.fit(learner, batches, epochs=2, batch_size=10, key=0)
        >>> int(run.state.step), batches.step
        (100, 100)
    """

    def __init__(
        self,
        batches: Iterable[Any],
        *,
        steps_per_epoch: int,
        convert: Callable[[Any], PyTree] | None = None,
        name: str | None = None,
    ) -> None:
        """Read nothing yet."""
        require_whole("[1, inf)", steps_per_epoch=steps_per_epoch)
        self.name = name or f"the {type(batches).__name__}"
        if not isinstance(batches, Iterable):
            raise DataError(
                f"{self.name} is not iterable: pass an iterator of batches."
            )
        self.steps_per_epoch = steps_per_epoch
        self.step = 0
        self._batches, self._convert = batches, convert
        self._iterator: Any = iter(batches)
        self._first: list[PyTree] = []  # a batch that was read, but not taken
        self._states: dict[int, Any] = {}  # of the iterator, by step
        self._last_taken = 0
        self._remember()

    @property
    def can_save(self) -> bool:
        """Whether the iterator can save its position."""
        return all(hasattr(self._iterator, x) for x in ("get_state", "set_state"))

    def get_state(self, step: int) -> dict[str, Any]:
        """Return the position before the batch of a step, to save with the state.

        Args:
            step: The number of updates that a state has made, `int(state.step)`, in a
                callback of `fdl.fit` or after it.

        Raises:
            ValueError: If the iterator cannot save its position, or the position of
                the step is not known any more.
        """
        self._require_savable()
        if step not in self._states:
            raise ValueError(
                f"step={step} is out of reach: the positions of {self.name} are known "
                f"from step {min(self._states)} to {max(self._states)}."
            )
        return {"step": step, "iterator": copy.deepcopy(self._states[step])}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a position that `get_state` returned.

        Raises:
            ValueError: If the iterator cannot do so.
        """
        self._require_savable()
        iterator: Any = iter(self._batches)
        iterator.set_state(copy.deepcopy(state["iterator"]))
        self._iterator, self._first, self._states = iterator, [], {}
        self.step = self._last_taken = state["step"]
        self._remember()

    def _require_savable(self) -> None:
        if not self.can_save:
            raise ValueError(
                f"{self.name} cannot save its position: pass an iterator with "
                "get_state and set_state, or use fdl.data.stored."
            )

    def begin(self, step: int) -> None:
        """Number the batches from here on, starting after a number of steps."""
        if self.can_save:
            self._states = {step: self._states[self.step]}
        self.step = self._last_taken = step

    def peek(self) -> PyTree:
        """Return the next batch without taking it."""
        if not self._first:
            self._first = [self._read()]
        return self._first[0]

    def take(self, count: int) -> list[PyTree]:
        """Return the next batches.

        Raises:
            DataError: If there are no more.
        """
        # A run may still ask for positions since the previous call.
        oldest, self._last_taken = self._last_taken, self.step
        for step in [step for step in self._states if step < oldest]:
            del self._states[step]
        taken = []
        for _ in range(count):
            taken.append(self._first.pop() if self._first else self._read())
            self.step += 1
            self._remember()
        return taken

    def _remember(self) -> None:
        if self.can_save:
            self._states[self.step] = copy.deepcopy(self._iterator.get_state())

    def _read(self) -> PyTree:
        batch = next(self._iterator, None)
        if batch is None and self._iterator is not self._batches:
            self._iterator = iter(self._batches)
            batch = next(self._iterator, None)
        if batch is None:
            raise DataError(
                f"{self.name} ended after {self.step} batches: make it repeat, or "
                f"train fewer epochs of {self.steps_per_epoch} steps."
            )
        batch = batch if self._convert is None else self._convert(batch)
        return jax.tree.map(np.asarray, batch)
