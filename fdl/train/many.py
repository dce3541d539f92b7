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
"""Metrics by name, each with a row per member and a column per epoch."""

Members = Int[np.ndarray, " chunk"]
"""Indices of some members."""


class FitManyResult(NamedTuple):
    """The result of `fit_many`.

    Attributes:
        state: The trained states, as one state whose arrays have a first axis of
            members; see `fdl.member`.
        epoch: Number of passes over the data that each member's state has seen.
        diverged: The update at which each member met a non-finite number, or -1.
        train: Training metrics by name, with a row per member and a column per epoch;
            NaN where a member was not trained.
        validation: Validation metrics, likewise.
        strategy: How members were combined into one program.
        members_per_chunk: Number of members trained at a time.
        seconds: Wall-clock seconds of the phases `compile`, `train` and `validation`.
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
    """Train many members that differ in seeds, hyperparameters, or both.

    This is `fit` of `many(tunable(make_learner, ...), n)`, but in chunks of members:
    each chunk is trained through all epochs before the next one starts, so memory is
    needed for one chunk only. Member `k` equals
    `fit(make_learner(hparams[k]), data, key=keys[k], ...)`, up to rounding.

    All members must have arrays of the same shapes; use a separate call for others.

    Args:
        make_learner: `hparams of one member -> learner`, as for `fdl.tunable`.
        hparams: Hyperparameters as a pytree of arrays whose first axis counts members,
            such as `{"learning_rate": np.geomspace(1e-4, 1e-2, 64)}`; `{}` for members
            that differ in their keys alone.
        data: Training examples, as for `fit`, shared by all members.
        epochs: Total number of passes over the data, at least 1.
        batch_size: Examples per update, from 1 to the number of examples.
        keys: A key or a seed for each member, such as `range(8)`.
        shuffle_key: Random key of the order of the data, the same for all members, who
            then share batches, which is faster. None for an order from each member's
            own key.
        validation_data: Examples to evaluate on after each epoch; None for none.
        early_stopping: When a member stops before the last epoch; None for never.
        state: State of all members to resume from, after the same number of epochs for
            each; None to start from scratch.
        history: The epochs that `state` has made, with all members in each line, as for
            `fit`.
        mesh: Devices along the axis `members`, each of which trains its share of a
            chunk's members, or along `data`, which share each batch, as for `fit`, or
            both: `jax.make_mesh((4, 2), ("members", "data"))`. None for one device.
        strategy: See `fdl.members.Strategy`; None for the one that was fastest for
            steps of this size on the platform.
        members_per_chunk: Number of members in a chunk, at least 1, and a multiple of
            the number of devices along `members`; None for as many as are fast and fit
            into memory.
        steps_per_chunk: As for `fit`; signals are handled after each chunk of steps.
        stream_bytes: As for `fit`. If members have orders of their own, they share it.
        on_start: Called before the first update with the strategy and the number of
            members in a chunk. Training that is resumed with both, and with the same
            members in a chunk, ends with the same bits.
        on_epoch: Called after each epoch of each chunk, with the indices of its
            members, their line of the history and their state, which is only valid
            during the call.
        on_end: Called when a chunk is trained, with the indices of its members and
            their `FitResult`, so that it can be saved whatever happens to the others.

    Returns:
        All states, and how training went.

    Raises:
        DataError: As for `fit`.
        ValueError: If an argument is out of range, `make_learner` rejects a member's
            hyperparameters, or members or a batch cannot be shared equally.

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
    if not callable(make_learner):
        raise ValueError(
            f"make_learner is a {type(make_learner).__name__}: pass a function of the "
            "hyperparameters, such as lambda hparams: learner."
        )
    keys = as_keys(keys)
    if keys.ndim != 1:
        raise ValueError(
            f"keys has the shape {keys.shape}: pass a key or a seed for each member, "
            "such as jax.random.split(key, 8) or range(8)."
        )
    _check(len(keys), epochs, members_per_chunk, steps_per_chunk, strategy)
    if isinstance(data, Batches):
        raise DataError(
            f"{data.name} yields each batch only once, but members are trained in "
            "chunks: pass fdl.data.stored examples, or train fdl.many with fdl.fit."
        )
    count = len(keys)
    placement = Placement()
    if mesh is not None:
        placement = Placement(require_mesh(mesh, (MEMBERS, DATA)))
    parts = placement.members
    if members_per_chunk is not None and members_per_chunk % parts:
        raise ValueError(
            f"members_per_chunk={members_per_chunk} cannot be divided equally among "
            f"{parts} devices: use a multiple of {parts}."
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
            "members, one per key."
        )
    loop = Loop.prepare(one, data, key=keys[0], **options)
    if strategy is None:
        strategy = fastest(loop, one, keys[0])
    largest = -(-count // parts)  # members of a device, if all were one chunk
    size = members_per_chunk or parts * chunk_size(strategy, largest)

    def chunk(members: Members) -> tuple[Learner, Int[np.ndarray, " size"]]:
        """Return the learner of some members, and these padded to a chunk's size."""
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
    """Return the learner of the first member, after checking all members' learners."""
    check_rows(hparams, count)
    one = tunable(make_learner, jax.tree.map(lambda x: x[0], hparams))
    many(one, count, hparams=hparams)  # raises if a member's hparams are invalid
    return one


def _cut(end: FitResult, count: int) -> FitResult:
    """Drop the members that only pad a chunk."""
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
        raise ValueError("keys is empty: pass a key for each member.")
    require_whole("[1, inf)", epochs=epochs)
    require_whole(
        "[1, inf) or None",
        members_per_chunk=members_per_chunk,
        steps_per_chunk=steps_per_chunk,
    )
    if strategy is not None and strategy not in get_args(Strategy):
        names = ", ".join(get_args(Strategy))
        raise ValueError(f"strategy={strategy!r} must be one of {names}.")
