"""Prefetch stored examples on a thread while the device computes."""

import concurrent.futures  # imports its thread pool on first use
import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from fdl.arrays import PyTree
from fdl.train.parts import Fetched, num_examples
from fdl.train.placement import Placement
from fdl.train.steps import Order, Run, chunks

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Fed = tuple[PyTree, Order, int]
"""Input of steps: examples, their order, and the position in it to start from."""

STREAM_BYTES = 2**26
"""Default memory for prefetched examples, in bytes."""

_COPIES = 4  # of a chunk: one in use; the next as fetched, as copied, and as moved


class Feed(NamedTuple):
    """The source of training examples.

    Attributes:
        parts: The parts of the data: on the device, or to be fetched.
        batch_size: Examples per update.
        most: Number of steps whose examples are fetched at a time; None if all are on
            the device.
        placement: Where fetched examples are moved to.
    """

    parts: Sequence[PyTree]
    batch_size: int
    most: int | None
    placement: Placement

    @classmethod
    def of(
        cls,
        parts: Sequence[PyTree],
        batch_size: int,
        *,
        words: Any,
        steps: int,
        stream_bytes: int,
        placement: Placement,
    ) -> "Feed":
        """Choose for how many steps examples are fetched at a time.

        Args:
            parts: The parts of the data.
            batch_size: Examples per update.
            words: Words of the key that orders are drawn from, or of each member's.
            steps: Steps between reports.
            stream_bytes: Memory for prefetched examples, in bytes.
            placement: Where fetched examples are moved to.
        """
        streams = [part for part in parts if isinstance(part, Fetched)]
        if not streams:
            return cls(parts, batch_size, None, placement)
        needed = max(part.step_bytes(batch_size, words) for part in streams)
        fit = stream_bytes // (_COPIES * needed)
        full = num_examples(parts[0]) // batch_size
        most = 1 if len(parts) > 1 else max(1, min(fit, steps, full))
        return cls(parts, batch_size, most, placement)

    @contextlib.contextmanager
    def opened(
        self, orders: list[Any], runs: Sequence[Run]
    ) -> Iterator[Callable[[Run], Fed]]:
        """Yield a function that returns the input of the next steps.

        Within the block, call it with the given runs in order, or with pieces of them
        that do not cross a multiple of `most` steps from the beginning of their run.
        It returns examples, their order, and the position in it to start from.
        """
        if self.most is None:
            yield lambda run: self._resident(run, orders)
            return
        wanted = [run for run in chunks(runs, 0, self.most) if self._is_fetched(run)]
        with contextlib.closing(
            ahead(lambda run: (run, *self._chunk(run, orders)), wanted)
        ) as coming:
            now: Any = None

            def feed(run: Run) -> Fed:
                nonlocal now
                if not self._is_fetched(run):
                    return self._resident(run, orders)
                if now is None or not _reaches(now[0], run):
                    now = None  # freed before waiting for the next
                    now = next(coming)
                chunk, data, order = now
                return data, order, run.first - chunk.first

            yield feed

    def blank(self, run: Run, orders: list[Any]) -> Fed:
        """Return input to compile the program of a run with."""
        if not self._is_fetched(run):
            return self._resident(run, orders)
        return *self._filled(run, orders, self.parts[run.part].one, ()), 0

    def _is_fetched(self, run: Run) -> bool:
        return isinstance(self.parts[run.part], Fetched)

    def _resident(self, run: Run, orders: list[Any]) -> Fed:
        return self.parts[run.part], orders[run.part], run.first

    def _chunk(self, run: Run, orders: list[Any]) -> tuple[PyTree, Order]:
        """Return the distinct examples of a run, and the order to visit them in."""
        index = orders[run.part][..., run.first : run.first + run.size * run.steps]
        return self._filled(run, orders, *self.parts[run.part].rows_and_places(index))

    def _filled(
        self, run: Run, orders: list[Any], rows: PyTree, places: Any
    ) -> tuple[PyTree, Order]:
        """Pad rows and places to the shapes that the program of a run takes."""
        steps = self.most if run.size == self.batch_size else 1
        members, count = orders[run.part].shape[:-1], run.size * (steps or 1)
        most = min(math.prod(members) * count, num_examples(self.parts[run.part]))
        order = np.zeros((*members, count), np.int32)
        order[..., : np.shape(places)[-1]] = places

        def filled(x: Any) -> Any:
            if len(x) == most:
                return x
            whole = np.zeros((most, *x.shape[1:]), x.dtype)
            whole[: len(x)] = x
            return whole

        return self.placement.chunk(jax.tree.map(filled, rows)), order


def _reaches(chunk: Run, run: Run) -> bool:
    """Return whether a chunk contains the examples of a run."""
    there = range(chunk.first, chunk.first + chunk.size * chunk.steps)
    return chunk.part == run.part and run.first in there


def ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Generator[_Result]:
    """Yield a function's results, while a thread computes the next.

    The thread ends when the generator ends or is closed. Its exceptions are raised
    here.

    Example:
        >>> list(ahead(lambda x: x + 1, [1, 2]))
        [2, 3]
    """
    # Contexts set these for this thread only.
    now: Any = jax.config
    x64, device = now.jax_enable_x64, now.jax_default_device

    def work(item: _Item) -> _Result:
        with jax.enable_x64(x64), jax.default_device(device):
            return function(item)

    items = iter(items)
    with concurrent.futures.ThreadPoolExecutor(1, "fdl-feed") as pool:
        start = lambda: [pool.submit(work, item) for item in itertools.islice(items, 1)]
        waiting = start()
        while waiting:
            result = waiting.pop().result()
            waiting = start()
            yield result
            del result  # freed before waiting for the next
