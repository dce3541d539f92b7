"""The program that trains a chunk of members, and how large a chunk may be."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from jax import lax
from jaxtyping import Bool, Float, Int, Shaped

from fdl.arrays import Array, Key, PyTree
from fdl.learner import Learner, State
from fdl.metrics import Metrics, add
from fdl.train.evaluate import split
from fdl.train.steps import chunks, copy, draw_order, key_words, run_steps, zero_metrics

Keys = Shaped[jax.Array, " members"]
"""A typed random key for each member, as `jax.random.split` makes them."""

MakeLearner = Callable[[Any], Learner]
"""From one member's hyperparameters to how it learns."""

Strategy = Literal["vmap", "map", "loop"]
"""How members become a program: side by side in every operation, one after the other
inside a program, or a program of one member that runs once for each."""

Order = Int[Array, "*members examples"]
"""The order of the examples: one that all members share, or each member's own."""

Measured = dict[str, Float[np.ndarray, " chunk"]]

# On CPU, steps of fewer operations spend their time on getting started, which members
# can share; larger ones fill the caches, which members would share too.
_SMALL_STEP = 5e7
_CACHED_MEMBERS = 16


class Part(NamedTuple):
    """Members on their way through training; every array has a first axis of them."""

    hparams: PyTree
    order_keys: Keys
    state: State


class Program(NamedTuple):
    """What trains a chunk of members: all that is the same for every chunk."""

    make_learner: MakeLearner
    strategy: Strategy
    data: PyTree
    eval_data: PyTree | None
    batch_size: int
    order_key: Key | None

    def start(self, hparams: PyTree, keys: Keys, state: State | None) -> Part:
        """Return members before their first step; `state` is where they go on from."""
        init_keys, order_keys = _two_keys(keys)
        if state is None:
            one = jax.tree.map(lambda x: x[:1], self.data)
            state = _init(self.make_learner, self.strategy, hparams, init_keys, one)
        assert state is not None
        return Part(hparams, order_keys, state)

    def warm_up(self, part: Part) -> None:
        """Compile all that training will run, by making no steps."""
        for size in {self.batch_size, self._num_examples % self.batch_size} - {0}:
            self._run(part, copy(part.state), size, self._order(part, 0))
        if self.eval_data is not None:
            for batch in _of_each_size(self.eval_data):
                self._evaluate(part, batch)
        _choose(np.zeros(len(part.order_keys), bool), part.state, part.state)

    def epoch(
        self, part: Part, epoch: int, done: int
    ) -> tuple[Part, Measured, Int[np.ndarray, " chunk"]]:
        """Make an epoch's steps after the first `done`.

        Returns the members, training metrics, and the first step of each that met a
        number that is not finite, or -1.
        """
        order = self._order(part, epoch)
        state, totals, bads = copy(part.state), None, []
        steps = chunks(self._num_examples, self.batch_size, done, self._num_examples)
        for size, first, n in steps:
            state, totals, bad = self._run(part, state, size, order, first, n, totals)
            bads.append(bad)
        first_bad = np.stack(jax.device_get(bads))
        never = np.iinfo(first_bad.dtype).max
        first_bad = np.where(first_bad < 0, never, first_bad).min(axis=0)
        first_bad = np.where(first_bad == never, -1, first_bad)
        assert totals is not None
        return part._replace(state=state), _compute(totals), first_bad

    def evaluate(self, part: Part) -> Measured:
        """Return the evaluation metrics; none if there are no data for it."""
        if self.eval_data is None:
            return {}
        batches = [self._evaluate(part, batch) for batch in split(self.eval_data, 500)]
        return _compute(functools.reduce(add, batches))

    def bytes_needed(self, part: Part) -> int:
        """Return the memory that a chunk takes while it is trained."""
        state, totals = part.state, self._zeros(part, self.batch_size)
        compiled = _run_members.lower(
            self.make_learner,
            self.strategy,
            self.data,
            self.batch_size,
            part.hparams,
            self._order(part, 0),
            0,
            0,
            state,
            totals,
        ).compile()
        used = compiled.memory_analysis()
        if used is None:  # a device that does not tell
            return 1
        # Besides the state that is trained, there are those of its last good epoch and
        # of its best.
        states = sum(x.nbytes for x in jax.tree.leaves(state))
        return used.temp_size_in_bytes + used.output_size_in_bytes + 3 * states

    @property
    def steps_per_epoch(self) -> int:
        """Number of updates in a pass over the data."""
        return -(-self._num_examples // self.batch_size)

    @property
    def _num_examples(self) -> int:
        return len(jax.tree.leaves(self.data)[0])

    def _order(self, part: Part, epoch: int) -> Order:
        if self.order_key is not None:
            words = key_words(self.order_key)
            return draw_order(words, epoch, self._num_examples)
        each = key_words(part.order_keys)
        return np.stack([draw_order(w, epoch, self._num_examples) for w in each])

    def _zeros(self, part: Part, batch_size: int) -> Metrics:
        batch = jax.tree.map(lambda x: x[:batch_size], self.data)
        return _zero_metrics(self.make_learner, part.hparams, part.state, batch)

    def _run(
        self,
        part: Part,
        state: State,
        batch_size: int,
        order: Order,
        first: int = 0,
        steps: int = 0,
        totals: Metrics | None = None,
    ) -> tuple[State, Metrics, Int[jax.Array, " chunk"]]:
        return _run_members(
            self.make_learner,
            self.strategy,
            self.data,
            batch_size,
            part.hparams,
            order,
            first,
            steps,
            state,
            self._zeros(part, batch_size) if totals is None else totals,
        )

    def _evaluate(self, part: Part, batch: PyTree) -> Metrics:
        return _evaluate_members(
            self.make_learner, self.strategy, part.hparams, part.state, batch
        )


def choose(chosen: Bool[np.ndarray, " chunk"], state: State, other: State) -> State:
    """Return one state for the chosen members, the other for the rest."""
    if chosen.all():
        return state
    return _choose(chosen, state, other)


def fastest(learner: Learner, state: State, data: PyTree, batch_size: int) -> Strategy:
    """Return the strategy that was fastest for steps like this one.

    Accelerators are only filled by members side by side. On CPU that pays for small
    steps; large ones run as fast one after the other, and need less memory.
    """
    if jax.default_backend() != "cpu":
        return "vmap"
    batch = jax.tree.map(lambda x: x[:batch_size], data)
    cost = jax.jit(learner.step).lower(state, batch).cost_analysis() or {}
    return "vmap" if cost.get("flops", 0.0) < _SMALL_STEP else "loop"


def chunk_size(strategy: Strategy, count: int) -> int:
    """Return how many members are fast together, if they fit into memory."""
    if strategy == "loop":
        return 1
    if strategy == "vmap" and jax.default_backend() == "cpu":
        return even(count, min(count, _CACHED_MEMBERS))
    return count


def even(count: int, size: int) -> int:
    """Return the size of as few chunks as `size` allows, all about equally large.

    Example:
        >>> even(9, 8)
        5
    """
    return -(-count // -(-count // size))


def free_bytes() -> int:
    """Return the memory of the device that may be used."""
    if jax.default_backend() == "cpu":
        return psutil.virtual_memory().available // 2
    stats = jax.devices()[0].memory_stats() or {}
    free = stats.get("bytes_limit", 2**33) - stats.get("bytes_in_use", 0)
    return int(0.8 * free)


def _over(strategy: Strategy, function: Callable[..., Any], *mapped: PyTree) -> Any:
    if strategy == "vmap":
        return jax.vmap(function)(*mapped)
    if strategy == "map":
        return lax.map(lambda one: function(*one), mapped)
    one = function(*jax.tree.map(lambda x: x[0], mapped))
    return jax.tree.map(lambda x: jnp.asarray(x)[None], one)


@functools.partial(
    jax.jit,
    static_argnames=("make_learner", "strategy", "batch_size"),
    donate_argnames=("state", "totals"),
)
def _run_members(
    make_learner: MakeLearner,
    strategy: Strategy,
    data: PyTree,
    batch_size: int,
    hparams: PyTree,
    order: Order,
    first: Int[jax.Array, ""] | int,
    steps: Int[jax.Array, ""] | int,
    state: State,
    totals: Metrics,
) -> tuple[State, Metrics, Int[jax.Array, " members"]]:
    def one(hp: PyTree, state: State, totals: Metrics, *own: jax.Array) -> Any:
        learner, (visited,) = make_learner(hp), own or (order,)
        return run_steps(
            learner, data, batch_size, visited, first, steps, state, totals
        )

    own = () if order.ndim == 1 else (order,)
    return _over(strategy, one, hparams, state, totals, *own)


@functools.partial(jax.jit, static_argnames=("make_learner", "strategy"))
def _init(
    make_learner: MakeLearner, strategy: Strategy, hparams: PyTree, keys: Keys, one: Any
) -> State:
    init = lambda hp, key: make_learner(hp).init(key, one)
    return _over(strategy, init, hparams, keys)


@functools.partial(jax.jit, static_argnames=("make_learner", "strategy"))
def _evaluate_members(
    make_learner: MakeLearner,
    strategy: Strategy,
    hparams: PyTree,
    state: State,
    batch: PyTree,
) -> Metrics:
    measure = lambda hp, state: make_learner(hp).evaluate(state, batch)
    return _over(strategy, measure, hparams, state)


@functools.partial(jax.jit, static_argnames="make_learner")
def _zero_metrics(
    make_learner: MakeLearner, hparams: PyTree, state: State, batch: PyTree
) -> Metrics:
    one = lambda hp, state: zero_metrics(make_learner(hp), state, batch)
    return jax.vmap(one)(hparams, state)


@jax.jit
def _two_keys(keys: Keys) -> tuple[Keys, Keys]:
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], pairs[:, 1]


@jax.jit
def _choose(chosen: Bool[jax.Array, " chunk"], state: State, other: State) -> State:
    one = lambda yes, x, y: jax.tree.map(lambda a, b: jnp.where(yes, a, b), x, y)
    return jax.vmap(one)(chosen, state, other)


def _compute(metrics: Metrics) -> Measured:
    return {
        name: np.asarray(total, np.float64) / np.asarray(weight, np.float64)
        for name, (total, weight) in jax.device_get(metrics).items()
    }


def _of_each_size(data: PyTree) -> list[PyTree]:
    parts = list(split(data, 500))
    return [parts[0]] if len(parts) == 1 else [parts[0], parts[-1]]
