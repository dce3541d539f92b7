"""How members become a program, and how many of them at a time."""

import math
from collections.abc import Callable, Hashable
from typing import Any

import jax
import psutil

from fdl.arrays import Key, Keys, PyTree
from fdl.learner import Learner, State
from fdl.members import Strategy
from fdl.programs import Same, program
from fdl.train.loop import Loop
from fdl.train.parts import num_examples

# On CPU, steps of fewer operations spend their time on getting started, which members
# can share; larger ones fill the caches, which members would share too.
_SMALL_STEP = 5e7
_CACHED_MEMBERS = 16


def fastest(loop: Loop, learner: Learner, key: Key) -> Strategy:
    """Return the strategy that was fastest for steps like this one.

    Accelerators are only filled by members side by side. On CPU that pays for small
    steps; large ones run as fast one after the other, and need less memory.
    """
    if jax.default_backend() != "cpu":
        return "vmap"
    size = min(loop.batch_size, num_examples(loop.data[0]))
    shaped = lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype)
    batch = jax.tree.map(shaped, loop.one)
    state = jax.eval_shape(learner.init, key, batch)
    measure = lambda: _flops(learner, state, batch)
    flops = _once(("flops", Same(learner.step), *_shapes(state, batch)), measure)
    return "vmap" if flops < _SMALL_STEP else "map"


def chunk_size(strategy: Strategy, count: int) -> int:
    """Return how many members are fast together, if they fit into memory."""
    if jax.default_backend() != "cpu":
        return count
    return 1 if strategy == "map" else even(count, min(count, _CACHED_MEMBERS))


def even(count: int, size: int) -> int:
    """Return the size of as few chunks as `size` allows, all about equally large.

    Example:
        >>> even(9, 8)
        5
    """
    return -(-count // -(-count // size))


def free_bytes(devices: int = 1) -> int:
    """Return the memory of each device that may be used; those of a CPU share it."""
    if jax.default_backend() == "cpu":
        return psutil.virtual_memory().available // 2 // devices
    stats = jax.devices()[0].memory_stats() or {}
    free = stats.get("bytes_limit", 2**33) - stats.get("bytes_in_use", 0)
    return int(0.8 * free)


def total_bytes() -> float:
    """Return the memory of the device; infinite if it does not tell."""
    if jax.default_backend() == "cpu":
        return float(psutil.virtual_memory().total)
    stats = jax.devices()[0].memory_stats() or {}
    return float(stats.get("bytes_limit", math.inf))


def bytes_needed(loop: Loop, learner: Learner, keys: Keys) -> int:
    """Return the memory of each device that training takes, besides the data."""
    state = jax.eval_shape(learner.init, keys, loop.one)
    measure = lambda: _used(loop, learner, keys)
    key = "bytes", Same(learner.step), *_shapes(state, loop.one)
    used = _once((*key, *map(num_examples, loop.data)), measure)
    # Besides the state that is trained, there are those of its last good epoch and of
    # its best.
    states = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    return used + 3 * states // loop.placement.members


def _used(loop: Loop, learner: Learner, keys: Keys) -> int:
    used = loop.compiled(learner, keys).memory_analysis()
    if used is None:  # a device that does not tell
        return 0
    return used.temp_size_in_bytes + used.output_size_in_bytes


def _flops(learner: Learner, state: State, batch: PyTree) -> float:
    cost = program(learner.step).lower(state, batch).cost_analysis() or {}
    return cost.get("flops", 0.0)


_KNOWN: dict[Hashable, Any] = {}
_KEPT = 256


def _once(key: Hashable, measure: Callable[[], Any]) -> Any:
    """Return what was measured for a key; measuring lowers a program, for seconds."""
    if key not in _KNOWN:
        if len(_KNOWN) >= _KEPT:
            _KNOWN.clear()
        _KNOWN[key] = measure()
    return _KNOWN[key]


def _shapes(*trees: PyTree) -> tuple[Hashable, ...]:
    """Return the shapes of arrays, as part of a key."""
    leaves, structure = jax.tree.flatten(trees)
    return structure, tuple((x.shape, str(x.dtype)) for x in leaves)
