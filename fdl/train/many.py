"""Train many members in chunks that fit into memory."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int

from fdl.arrays import DataError, PyTree, Seed, Seeds, as_key, as_keys, outlined
from fdl.data import Batches
from fdl.learner import Learner, State
from fdl.members import (
    MakeLearner,
    Strategy,
    check_rows,
    many,
    member,
    tunable,
)
from fdl.ranges import require_whole
from fdl.sharding import DATA, MEMBERS, require_mesh, spread_many
from fdl.train.chunk import bytes_needed, chunk_size, even, fastest, free_bytes
from fdl.train.feed import STREAM_BYTES
from fdl.train.loop import Loop
from fdl.train.placement import Placement, on_auto_mesh
from fdl.train.results import Epoch, FitResult
from fdl.train.stopping import EarlyStopping

Table = dict[str, Float[np.ndarray, "members epochs"]]
"""Metrics by name: a row for each member, a column for each epoch."""

Members = Int[np.ndarray, " chunk"]
"""The numbers of some members, from 0."""


class FitManyResult(NamedTuple):
    """What `fit_many` returns.

    Attributes:
        state: The trained states, as one whose arrays have a first axis of members; see
            `fdl.member`.
        epoch: Number of passes over the data that each member's state has seen.
        diverged: The update at which a member met a number that is not finite, or -1.
        train: Training metrics by name, a row for each member and a column for each
            epoch; NaN where a member was not trained.
        validation: Validation metrics, likewise.
        strategy: How members became a program.
        members_per_chunk: Number of members trained at a time.
        seconds: Wall-clock time by what it was spent on: `compile`, `train`,
            `validation`.
    """

    state: State
    epoch: Int[np.ndarray, " members"]
    diverged: Int[np.ndarray, " members"]
    train: Table
    validation: Table
    strategy: Strategy
    members_per_chunk: int
    seconds: dict[str, float]

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


@on_auto_mesh
def fit_many(
    make_learner: MakeLearner,
    hparams: PyTree,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int,
    keys: Seeds,
    shuffle_key: Seed | None = None,
    validation_data: PyTree | None = None,
    early_stopping: EarlyStopping | None = None,
    state: State | None = None,
    history: Sequence[Epoch] = (),
    mesh: Mesh | None = None,
    strategy: Strategy | None = None,
    members_per_chunk: int | None = None,
    steps_per_chunk: int | None = None,
    stream_bytes: int = STREAM_BYTES,
    on_start: Callable[[Strategy, int], None] | None = None,
    on_epoch: Callable[[Members, Epoch, State], None] | None = None,
    on_end: Callable[[Members, FitResult], None] | None = None,
) -> FitManyResult:
    """Train many members of a kind: seeds, hyperparameters, or both.

    This is `fit` of `many(tunable(make_learner, ...), n)`, for chunks of members that
    are trained one after the other, each through all epochs, so that no more memory is
    needed than for one of them. Member `k` is
    `fit(make_learner(hparams[k]), data, key=keys[k], ...)`, to rounding.

    All members must have arrays of the same shapes: for others, call it again.

    Args:
        make_learner: `hparams of one member -> learner`, as for `fdl.tunable`.
        hparams: Hyperparameters as a pytree of arrays whose first axis counts members,
            such as `{"learning_rate": np.geomspace(1e-4, 1e-2, 64)}`; `{}` for members
            that differ in their keys alone.
        data: Training examples, as for `fit`; all members have the same.
        epochs: Number of passes over the data, at least 1, in total.
        batch_size: Examples in an update, from 1 to the number of examples.
        keys: A key or a seed for each member, such as `range(8)`.
        shuffle_key: Random key of the order of the data, the same for all members, who
            then share batches; that is faster. None to give each the order of its own
            key.
        validation_data: Examples to evaluate on after each epoch; None for none.
        early_stopping: When a member stops before the last epoch; None for never.
        state: Where to go on from, a state with all members, which have made equally
            many epochs; None to start.
        history: The epochs that `state` has made, with all members in each line, as for
            `fit`.
        mesh: Devices along the axis `members`, each of which trains its part of a
            chunk's members, or `data`, along which devices share each batch, as for
            `fit`, or both: `jax.make_mesh((4, 2), ("members", "data"))`. None for one
            device.
        strategy: See `fdl.members.Strategy`; None for what was fastest for steps of
            that size on the platform.
        members_per_chunk: Number of members in a chunk, at least 1, and a multiple of
            the devices along `members`; None for as many as are fast and fit into
            memory.
        steps_per_chunk: As for `fit`: after so many steps, signals are heard.
        stream_bytes: As for `fit`. Members with orders of their own share it.
        on_start: Called before the first update with the strategy and the number of
            members in a chunk. With both, and the same members in a chunk, training
            that goes on ends with the same bits.
        on_epoch: Called after each epoch of each chunk, with the members, their line of
            the history and their state, which is only valid during the call.
        on_end: Called when a chunk is trained, with the members and what `fit` returns
            for them, so that it can be saved whatever happens to the others.

    Returns:
        All states, and how training went.

    Raises:
        DataError: As `fit`.
        ValueError: If an argument is out of range, some member's hyperparameters are
            refused by `make_learner`, or members or a batch cannot be shared equally.

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
    keys = as_keys(keys)
    if keys.ndim != 1:
        raise ValueError(
            f"keys has the shape {keys.shape}: give a key or a seed for each member, "
            "such as jax.random.split(key, 8) or range(8)."
        )
    _check(len(keys), epochs, members_per_chunk, steps_per_chunk, strategy)
    if isinstance(data, Batches):
        raise DataError(
            f"{data.name} gives each batch but once, and members are trained in chunks:"
            " give fdl.data.stored examples, or train fdl.many by fdl.fit"
        )
    count = len(keys)
    placement = Placement()
    if mesh is not None:
        placement = Placement(require_mesh(mesh, (MEMBERS, DATA)))
    parts = placement.members
    if members_per_chunk is not None and members_per_chunk % parts:
        raise ValueError(
            f"members_per_chunk={members_per_chunk} cannot be shared by {parts} "
            f"devices equally: give a multiple of {parts}."
        )
    hparams = jax.tree.map(np.asarray, hparams)
    one = _one(make_learner, hparams, count)
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "shuffle_key": None
        if shuffle_key is None
        else as_key(shuffle_key, "shuffle_key"),
        "validation_data": validation_data,
        "early_stopping": early_stopping,
        "stream_bytes": stream_bytes,
        "placement": placement,
    }
    if state is not None and np.shape(state.step) != (count,):
        raise ValueError(
            f"state has members of shape {np.shape(state.step)}, but must have {count} "
            "members, one for each key."
        )
    loop = Loop.prepare(one, data, key=keys[0], **options)
    if strategy is None:
        strategy = fastest(loop, one, keys[0])
    largest = -(-count // parts)  # part of all members that a device could train
    size = members_per_chunk or parts * chunk_size(strategy, largest)

    def chunk(members: Members) -> tuple[Learner, Int[np.ndarray, " size"]]:
        """Return the learner of some members, and these filled up to a chunk's size."""
        filled = members[np.minimum(np.arange(size), len(members) - 1)]
        rows = jax.tree.map(lambda x: x[filled], hparams)
        learner = many(one, size, hparams=rows, strategy=strategy)
        if placement.mesh is not None:
            part = many(one, size // parts, strategy=strategy)
            learner = spread_many(learner, part, placement.mesh)
        return learner, filled

    if members_per_chunk is None and size > parts:
        learner, filled = chunk(np.arange(min(size, count)))
        needed = bytes_needed(loop._replace(members=(size,)), learner, keys[filled])
        fitting = size * free_bytes(parts) // needed // parts
        size = parts * even(largest, max(1, min(size // parts, fitting)))
    loop = loop._replace(members=(size,))
    if on_start is not None:
        on_start(strategy, size)

    tables: tuple[Table, Table] = {}, {}
    ends: list[FitResult] = []
    for place in range(0, count, size):
        members = np.arange(place, min(place + size, count))
        learner, filled = chunk(members)

        def note(line: Epoch, state: State, members: Members = members) -> None:
            some = slice(len(members))
            line = _of_some(line, some)
            _fill(tables, members, line, (count, epochs))
            if on_epoch is not None:
                on_epoch(members, line, member(state, some))

        for line in history:
            _fill(tables, members, _of_some(line, members), (count, epochs))
        end = loop.run(
            learner,
            keys[filled],
            None if state is None else member(state, filled),
            epochs=epochs,
            history=[_of_some(line, filled) for line in history],
            steps_per_chunk=steps_per_chunk,
            on_epoch=note,
        )
        ends.append(_cut(end, len(members)))
        if on_end is not None:
            on_end(members, ends[-1])
    return FitManyResult(
        jax.tree.map(lambda *parts: jnp.concatenate(parts), *(e.state for e in ends)),
        np.concatenate([end.epoch for end in ends]),
        np.concatenate([end.diverged for end in ends]),
        *tables,
        strategy,
        size,
        {name: sum(end.seconds[name] for end in ends) for name in ends[0].seconds},
    )


def _one(make_learner: MakeLearner, hparams: PyTree, count: int) -> Learner:
    """Return the learner of the first member, after checking those of all."""
    check_rows(hparams, count)
    one = tunable(make_learner, jax.tree.map(lambda x: x[0], hparams))
    many(one, count, hparams=hparams)  # raises what is wrong with a member's
    return one


def _cut(end: FitResult, count: int) -> FitResult:
    """Leave out the members that only fill up a chunk."""
    some = slice(count)
    return end._replace(
        state=member(end.state, some),
        epoch=np.asarray(end.epoch)[some],
        diverged=np.asarray(end.diverged)[some],
        history=tuple(_of_some(line, some) for line in end.history),
    )


def _of_some(line: Epoch, some: slice | Members) -> Epoch:
    pick = lambda measured: {name: np.asarray(x)[some] for name, x in measured.items()}
    return line._replace(
        running=np.asarray(line.running)[some],
        train=pick(line.train),
        validation=pick(line.validation),
        diverged=np.asarray(line.diverged)[some],
    )


def _fill(
    tables: tuple[Table, Table], members: Members, line: Epoch, shape: tuple[int, int]
) -> None:
    """Write an epoch of some members into the tables of all."""
    for table, found in zip(tables, (line.train, line.validation), strict=True):
        for name, values in found.items():
            empty = np.full((*shape, *values.shape[1:]), np.nan)
            table.setdefault(name, empty)[members, line.epoch - 1] = values


def _check(
    count: int,
    epochs: int,
    members_per_chunk: int | None,
    steps_per_chunk: int | None,
    strategy: str | None,
) -> None:
    if count < 1:
        raise ValueError("keys is empty: give a key for each member.")
    require_whole("[1, inf)", epochs=epochs)
    require_whole(
        "[1, inf) or None",
        members_per_chunk=members_per_chunk,
        steps_per_chunk=steps_per_chunk,
    )
    if strategy is not None and strategy not in get_args(Strategy):
        names = ", ".join(get_args(Strategy))
        raise ValueError(f"strategy={strategy!r} must be one of {names}.")
