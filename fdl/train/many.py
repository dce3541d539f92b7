"""Training many at once: `fit` as a transformation over members."""

import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from fdl.arrays import Key, PyTree
from fdl.data import check
from fdl.learner import State
from fdl.train.evaluate import check_fits
from fdl.train.members import (
    Keys,
    MakeLearner,
    Part,
    Program,
    Strategy,
    choose,
    chunk_size,
    even,
    fastest,
    free_bytes,
)

Table = dict[str, Float[np.ndarray, "members epochs"]]
"""Metrics by name: a row for each member, a column for each epoch."""


class EarlyStopping(NamedTuple):
    """When to end a member's training (Prechelt, 1998), as Keras' `EarlyStopping`.

    Attributes:
        monitor: The evaluation metric that tells how good a member is.
        mode: Whether the best is the largest (`"max"`) or the smallest (`"min"`).
        patience: Epochs without a better value after which a member stops, at least 1;
            None to go on to the end, and only look for the best epoch.
        restore_best: Whether a member ends with the state of its best epoch.
    """

    monitor: str
    mode: Literal["max", "min"] = "max"
    patience: int | None = None
    restore_best: bool = True


class ManyEpoch(NamedTuple):
    """What an epoch of some of the members gave.

    Attributes:
        members: Which members these are, from 0.
        epoch: Number of passes over the data that they have made, from 1.
        running: Which of them were still trained in it and stayed finite; the numbers
            of the others are NaN.
        train: Training metrics by name.
        eval: Evaluation metrics by name.
        seconds: Wall-clock time of the epoch, evaluation included.
    """

    members: Int[np.ndarray, " chunk"]
    epoch: int
    running: Bool[np.ndarray, " chunk"]
    train: dict[str, Float[np.ndarray, " chunk"]]
    eval: dict[str, Float[np.ndarray, " chunk"]]
    seconds: float


class ManyEnd(NamedTuple):
    """What has become of some of the members; see `FitMany`.

    Attributes:
        members: Which members these are, from 0.
        state: Their states.
        epoch: Passes over the data after which each state stands.
        diverged: Update at which each met a number that is not finite, or -1.
    """

    members: Int[np.ndarray, " chunk"]
    state: State
    epoch: Int[np.ndarray, " chunk"]
    diverged: Int[np.ndarray, " chunk"]


class FitMany(NamedTuple):
    """What `fit_many` returns.

    Attributes:
        state: The trained states, as one whose arrays have a first axis of members; see
            `member`.
        epoch: Passes over the data after which each member's state stands.
        diverged: Update at which a member met a number that is not finite, or -1.
        train: Training metrics by name, a row for each member and a column for each
            epoch; NaN where a member was not trained.
        eval: Evaluation metrics, likewise.
        strategy: How the members were trained.
        members_per_chunk: How many at a time.
        seconds: Wall-clock time by what it was spent on: `compile`, `run`.
    """

    state: State
    epoch: Int[np.ndarray, " members"]
    diverged: Int[np.ndarray, " members"]
    train: Table
    eval: Table
    strategy: Strategy
    members_per_chunk: int
    seconds: dict[str, float]


def member(
    many: PyTree, index: int | np.integer | slice | Int[np.ndarray, " some"]
) -> PyTree:
    """Return what is of one member, or of some, such as a state from a state of many.

    Example:
        >>> keys = jax.random.split(jax.random.key(0))
        >>> int(member(State(jnp.int32([5, 6]), {}, {}, (), keys), 1).step)
        6
    """
    return jax.tree.map(lambda x: x[index], many)


def fit_many(
    make_learner: MakeLearner,
    hparams: PyTree,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int,
    keys: Keys,
    order_key: Key | None = None,
    eval_data: PyTree | None = None,
    state: State | None = None,
    early_stopping: EarlyStopping | None = None,
    strategy: Strategy | None = None,
    members_per_chunk: int | None = None,
    on_epoch: Callable[[ManyEpoch], None] | None = None,
    on_end: Callable[[ManyEnd], None] | None = None,
) -> FitMany:
    """Train many members of a kind: seeds, hyperparameters, or both.

    Member `k` is `fit(make_learner(hparams[k]), data, key=keys[k], ...)`, to rounding.
    Hyperparameters are arguments of the program that trains, so no value compiles it
    anew. A member that diverges goes back to its last good epoch and stays there; it is
    reported, and the others do not notice.

    Members are trained in chunks, one after the other, each through all epochs, so that
    no more memory is needed than for one of them. All members must have arrays of the
    same shapes: for others, call it again.

    Args:
        make_learner: `hparams of one member -> learner`. It is traced once, so it must
            not branch on what it is given. A function that is kept, rather than made
            anew for each call, is compiled for the first call alone.
        hparams: Hyperparameters as a pytree of arrays whose first axis counts members,
            such as `{"learning_rate": np.geomspace(1e-4, 1e-2, 64)}`; `{}` for members
            that differ in their keys alone.
        data: Training examples, as in `fit`; all members have the same.
        epochs: Number of passes over the data, at least 1, in total.
        batch_size: Examples in an update, from 1 to the number of examples.
        keys: A key for each member, as in `fit`.
        order_key: Random key of the order of the data, the same for all members, who
            then share batches; that is faster. None to give each the order of its own
            key.
        eval_data: Examples to evaluate on after each epoch; None for none.
        state: Where to go on from, a state with all members, which have made equally
            many epochs; None to start.
        early_stopping: When a member stops before the last epoch; None for never.
        strategy: `"vmap"`, `"map"` or `"loop"`, see `Strategy`; None for what was
            fastest for steps of that size on the platform.
        members_per_chunk: Members in a chunk, at least 1; None for as many as are fast
            and fit into memory.
        on_epoch: Called after each epoch of each chunk.
        on_end: Called when a chunk is trained, for what is to be kept whatever happens
            to the others.

    Returns:
        All states, and how training went.

    Raises:
        DataError: If the data are empty, ragged, not finite, smaller than a batch, or
            have labels that the model has no class for.
        ValueError: If an argument is out of range, or some member's hyperparameters
            are refused by `make_learner`.

    Example:
        >>> import fdl, optax
        >>> def make_learner(hp):
        ...     model = fdl.models.MLP(10)
        ...     adam = optax.adam(hp["learning_rate"])
        ...     return fdl.learners.supervised(model, fdl.losses.cross_entropy, adam)
        >>> data = fdl.Batch(np.eye(10).reshape(10, 5, 2, 1), np.arange(10))
        >>> run = fit_many(
        ...     make_learner,
        ...     {"learning_rate": np.array([1e-2, 1e-9])},
        ...     data,
        ...     epochs=50,
        ...     batch_size=5,
        ...     keys=jax.random.split(jax.random.key(0)),
        ... )
        >>> run.train["accuracy"].shape, float(run.train["accuracy"][0, -1])
        ((2, 50), 1.0)
    """
    count = len(keys)
    hparams = _checked(make_learner, hparams, count)
    _check_options(epochs, members_per_chunk, strategy, early_stopping, eval_data)
    check(data, batch_size=batch_size)
    data = jax.device_put(data)
    learner = make_learner(member(hparams, 0))
    shapes = jax.eval_shape(learner.init, keys[0], jax.tree.map(lambda x: x[:1], data))
    check_fits(learner, shapes, data)
    if eval_data is not None:
        check(eval_data)
        check_fits(learner, shapes, eval_data)
        eval_data = jax.device_put(eval_data)
        names = jax.eval_shape(learner.evaluate, shapes, eval_data)
        if early_stopping is not None and early_stopping.monitor not in names:
            raise ValueError(
                f"monitor={early_stopping.monitor!r} is not measured; there are "
                f"{', '.join(names)}."
            )
    done = 0 if state is None else _steps_done(state, count)

    started = time.perf_counter()
    if strategy is None:
        strategy = fastest(learner, shapes, data, batch_size)
    program = Program(make_learner, strategy, data, eval_data, batch_size, order_key)
    size = members_per_chunk or chunk_size(strategy, count)

    def start(members: Int[np.ndarray, " chunk"]) -> Part:
        padded = members[np.minimum(np.arange(size), len(members) - 1)]
        some = None if state is None else member(state, padded)
        return program.start(member(hparams, padded), keys[padded], some)

    first = start(np.arange(min(size, count)))
    if members_per_chunk is None and size > 1:
        most = max(1, size * free_bytes() // program.bytes_needed(first))
        if most < size:
            size = even(count, most)
            first = start(np.arange(size))
    program.warm_up(first)
    del first
    seconds = {"compile": time.perf_counter() - started}

    started = time.perf_counter()
    tables: tuple[Table, Table] = {}, {}
    ends: list[ManyEnd] = []
    for place in range(0, count, size):
        members = np.arange(place, min(place + size, count))
        lines = _train(program, start(members), members, epochs, done, early_stopping)
        for line in lines:
            if isinstance(line, ManyEnd):
                ends.append(line)
                if on_end is not None:
                    on_end(line)
                continue
            for table, found in zip(tables, (line.train, line.eval), strict=True):
                for name, values in found.items():
                    empty = np.full((count, epochs), np.nan)
                    rows = table.setdefault(name, empty)
                    rows[line.members, line.epoch - 1] = values
            if on_epoch is not None:
                on_epoch(line)
    seconds["run"] = time.perf_counter() - started
    return FitMany(
        jax.tree.map(lambda *parts: jnp.concatenate(parts), *(e.state for e in ends)),
        np.concatenate([end.epoch for end in ends]),
        np.concatenate([end.diverged for end in ends]),
        *tables,
        strategy,
        size,
        seconds,
    )


def _train(
    program: Program,
    part: Part,
    members: Int[np.ndarray, " chunk"],
    epochs: int,
    done: int,
    stopping: EarlyStopping | None,
) -> Iterator[ManyEpoch | ManyEnd]:
    """Train a chunk; yield its epochs, and what has become of it."""
    count = len(members)
    size = len(part.order_keys)
    per_epoch = program.steps_per_epoch
    running = np.arange(size) < count
    diverged = np.full(size, -1)
    last_epoch = best_epoch = np.full(size, done // per_epoch)
    best, best_state, waited = np.full(size, -np.inf), part.state, np.zeros(size, int)
    for epoch in range(done // per_epoch, epochs):
        if not running.any():
            break
        started = time.perf_counter()
        after, train, bad = program.epoch(part, epoch, done - epoch * per_epoch)
        done = (epoch + 1) * per_epoch
        diverged = np.where(running & (bad >= 0), bad, diverged)
        running = running & (bad < 0)
        part = part._replace(state=choose(running, after.state, part.state))
        measured = program.evaluate(part)
        last_epoch = np.where(running, epoch + 1, last_epoch)
        line = ManyEpoch(
            members,
            epoch + 1,
            running[:count],
            _only(running, train, count),
            _only(running, measured, count),
            time.perf_counter() - started,
        )
        if stopping is not None:
            value = measured[stopping.monitor] * (1 if stopping.mode == "max" else -1)
            better = running & (value > best)
            best, best_epoch = (
                np.where(better, new, old)
                for new, old in ((value, best), (epoch + 1, best_epoch))
            )
            best_state = choose(better, part.state, best_state)
            waited = np.where(better, 0, waited + 1)
            if stopping.patience is not None:
                running = running & (waited < stopping.patience)
        yield line
    if stopping is not None and stopping.restore_best:
        part, last_epoch = part._replace(state=best_state), best_epoch
    yield ManyEnd(
        members,
        member(part.state, slice(count)),
        last_epoch[:count],
        diverged[:count],
    )


def _only(
    running: Bool[np.ndarray, " chunk"], measured: dict[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    return {
        name: np.where(running, values, np.nan)[:count]
        for name, values in measured.items()
    }


def _checked(make_learner: MakeLearner, hparams: PyTree, count: int) -> PyTree:
    """Return hyperparameters as arrays, after `make_learner` has seen them all.

    Raises:
        ValueError: If they are not of `count` members, or one's are refused.
    """
    if count < 1:
        raise ValueError("keys is empty: give a key for each member.")
    hparams = jax.tree.map(np.asarray, hparams)
    for path, x in jax.tree_util.tree_leaves_with_path(hparams):
        if x.ndim < 1 or len(x) != count:
            raise ValueError(
                f"hparams{jax.tree_util.keystr(path)} has shape {x.shape}, but there "
                f"are {count} keys: its first axis must count members."
            )
    for k in range(count):
        plain = jax.tree.map(
            lambda x, k=k: x[k].item() if x.ndim == 1 else x[k], hparams
        )
        try:
            make_learner(plain)
        except ValueError as error:
            raise ValueError(f"member {k}: {error}") from error
    return jax.tree.map(jnp.asarray, hparams)


def _check_options(
    epochs: int,
    members_per_chunk: int | None,
    strategy: str | None,
    early_stopping: EarlyStopping | None,
    eval_data: PyTree | None,
) -> None:
    for name, number in (("epochs", epochs), ("members_per_chunk", members_per_chunk)):
        if number is not None and number < 1:
            raise ValueError(f"{name}={number} must be at least 1.")
    if strategy is not None and strategy not in get_args(Strategy):
        known = ", ".join(get_args(Strategy))
        raise ValueError(f"strategy={strategy!r} is not known; use one of {known}.")
    if strategy == "loop" and members_per_chunk not in (None, 1):
        raise ValueError(
            f"strategy='loop' trains one member at a time, not {members_per_chunk}."
        )
    if early_stopping is None:
        return
    if eval_data is None:
        raise ValueError("early_stopping needs eval_data to tell how good a member is.")
    if early_stopping.mode not in ("max", "min"):
        raise ValueError(f"mode={early_stopping.mode!r}: use 'max' or 'min'.")
    if early_stopping.patience is not None and early_stopping.patience < 1:
        raise ValueError(f"patience={early_stopping.patience} must be at least 1.")


def _steps_done(state: State, count: int) -> int:
    """Return how many steps all members have made."""
    steps = np.unique(state.step)
    if np.shape(state.step) != (count,) or len(steps) != 1:
        raise ValueError(
            f"state must have {count} members, one for each key, after equally many "
            f"steps, not {np.asarray(state.step)}."
        )
    return int(steps[0])
