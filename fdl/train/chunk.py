"""Choose the strategy for many members, and the size of a chunk."""

import math
from collections.abc import Callable, Hashable
from typing import Any

import jax
import psutil

from fdl.arrays import Key, Keys, PyTree, with_rows
from fdl.learner import Learner, State
from fdl.members import Strategy
from fdl.programs import Same, program
from fdl.train.loop import Loop
from fdl.train.parts import num_examples

# On CPU, steps of fewer operations spend most of their time on overhead, which members
# can share; larger steps fill the caches, which members would have to share, too.
_SMALL_STEP = 5e7
_CACHED_MEMBERS = 16


def fastest(loop: Loop, learner: Learner, key: Key) -> Strategy:
    """Return the strategy that was fastest for steps of this size.

    Accelerators need `vmap` to be filled. On CPU it pays for small steps; with large
    ones, `map` is as fast and needs less memory.
    """
    if jax.default_backend() != "cpu":
        return "vmap"
    size = min(loop.batch_size, num_examples(loop.data[0]))
    batch = jax.tree.map(lambda x: with_rows(x, size), loop.one)
    state = jax.eval_shape(learner.init, key, batch)
    measure = lambda: _flops(learner, state, batch)
    flops = _once(("flops", Same(learner.step), *_shapes(state, batch)), measure)
    return "vmap" if flops < _SMALL_STEP else "map"


def chunk_size(strategy: Strategy, count: int) -> int:
    """Return the fastest number of members in a chunk, regardless of memory."""
    if jax.default_backend() != "cpu":
        return count
    return 1 if strategy == "map" else even(count, min(count, _CACHED_MEMBERS))


def even(count: int, size: int) -> int:
    """Return the size of equal chunks: as few as possible, of at most `size` each.

    Example:
        >>> even(9, 8)
        5
    """
    return -(-count // -(-count // size))


def free_bytes(devices: int = 1) -> int:
    """Return the usable bytes of memory per device; CPU devices share the host's."""
    if jax.default_backend() == "cpu":
        return psutil.virtual_memory().available // 2 // devices
    stats = jax.devices()[0].memory_stats() or {}
    free = stats.get("bytes_limit", 2**33) - stats.get("bytes_in_use", 0)
    return int(0.8 * free)


def total_bytes() -> float:
    """Return the bytes of memory of the device; infinity if it does not report them."""
    if jax.default_backend() == "cpu":
        return float(psutil.virtual_memory().total)
    stats = jax.devices()[0].memory_stats() or {}
    return float(stats.get("bytes_limit", math.inf))


def bytes_needed(loop: Loop, learner: Learner, keys: Keys) -> int:
    """Return the bytes of memory that training needs per device, without the data."""
    state = jax.eval_shape(learner.init, keys, loop.one)
    measure = lambda: _used(loop, learner, keys)
    key = "bytes", Same(learner.step), *_shapes(state, loop.one)
    used = _once((*key, *map(num_examples, loop.data)), measure)
    # Three states: the current one, that of the last good epoch, and the best.
    states = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    return used + 3 * states // loop.placement.members


def _used(loop: Loop, learner: Learner, keys: Keys) -> int:
    used = loop.compiled(learner, keys).memory_analysis()
    if used is None:  # the device does not report it
        return 0
    return used.temp_size_in_bytes + used.output_size_in_bytes


def _flops(learner: Learner, state: State, batch: PyTree) -> float:
    cost = program(learner.step).lower(state, batch).cost_analysis() or {}
    return cost.get("flops", 0.0)


_KNOWN: dict[Hashable, Any] = {}
_KEPT = 256


def _once(key: Hashable, measure: Callable[[], Any]) -> Any:
    """Measure once per key; measuring lowers a program, which takes seconds."""
    if key not in _KNOWN:
        if len(_KNOWN) >= _KEPT:
            _KNOWN.clear()
        _KNOWN[key] = measure()
    return _KNOWN[key]


def _shapes(*trees: PyTree) -> tuple[Hashable, ...]:
    """Return the structure and shapes of pytrees, as part of a key."""
    leaves, structure = jax.tree.flatten(trees)
    return structure, tuple((x.shape, str(x.dtype)) for x in leaves)
