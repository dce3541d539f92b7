"""Train a learner on a data set."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from jax.sharding import Mesh

from fdl.arrays import PyTree, Seed, Seeds, as_key, as_keys
from fdl.learner import Learner, State
from fdl.metrics import Metrics
from fdl.ranges import require_whole
from fdl.sharding import Shard, require_mesh, require_shard, spread
from fdl.train.evaluate import Measured
from fdl.train.feed import STREAM_BYTES
from fdl.train.loop import Loop
from fdl.train.placement import Placement, on_auto_mesh
from fdl.train.results import Epoch, FitResult
from fdl.train.stopping import EarlyStopping

_CHUNKS = 20  # movements of a progress bar in an epoch


@on_auto_mesh
def fit(
    learner: Learner,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int,
    key: Seed | Seeds,
    shuffle_key: Seed | None = None,
    validation_data: PyTree | None = None,
    early_stopping: EarlyStopping | None = None,
    state: State | None = None,
    history: Sequence[Epoch] = (),
    best: State | None = None,
    sums: Metrics | None = None,
    mesh: Mesh | None = None,
    shard: Shard = "batch",
    steps_per_chunk: int | None = None,
    stream_bytes: int = STREAM_BYTES,
    on_chunk: Callable[[int, Measured, State], Any] | None = None,
    on_part: Callable[[State, Metrics], Any] | None = None,
    on_epoch: Callable[[Epoch, State], Any] | None = None,
    progress: bool = False,
) -> FitResult:
    """Train a learner on a data set.

    The data move to the device once; in a loop of calls, `jax.device_put` them before
    it, and they stay there. Data that do not fit into memory stay where they are stored
    (`fdl.data.stored`), and chunks of them are fetched while the device works; the
    result is the same. Each epoch visits them in a new order, drawn from `key` and the
    number of the epoch, in batches of `batch_size`; what is left over makes a last,
    smaller batch, as in Keras.
    The steps of an epoch run inside one compiled program, which serves every learner
    that differs in the numbers in its state alone. The same arguments give the same
    result.

    A learner of many (`fdl.many`) is trained like any other, each member on the batches
    of its own key. A member that meets a number that is not finite goes back to the end
    of its last epoch and stays there; the others do not notice.

    Args:
        learner: What to train; see `fdl.learners`.
        data: Training examples as a pytree of arrays with a common first axis, such as
            `Batch`, or `Buckets` of several such whose arrays differ in shape; or
            `fdl.data.stored` examples, which are looked at as they come.
        epochs: Number of passes over the data, at least 1, in total: a `state` that has
            made some of them makes the rest.
        batch_size: Examples in an update, from 1 to the number of examples.
        key: Random key of the initial parameters, the order of the data, and whatever
            the learner draws, or a seed (see `fdl.arrays.as_key`). Of many members: one
            for each, or one that is split.
        shuffle_key: Random key of the order of the data alone; None to draw it from
            `key`. Runs that are to see the same batches share one; so do members,
            which then train faster.
        validation_data: Examples to evaluate on after each epoch; None for none.
        early_stopping: When to stop before the last epoch, and whether to return the
            best; None to train to the end.
        state: Where to go on from; None to start with `learner.init`. It is not
            changed. With the data, batch size and `key` of the run that it is from,
            and its `history`, the run goes on as if it had never stopped. Its
            hyperparameters hold, not those of the learner.
        history: The epochs that `state` has made, as `FitResult.history` or `on_epoch`
            gave them. The result's history begins with them, members that had stopped
            or diverged stay where they were, and early stopping goes on where it was;
            without them it begins anew.
        best: The state after the best of these epochs, for early stopping to restore;
            None if that is `state`.
        sums: What `on_part` gave with a `state` that has made a part of an epoch: the
            line of this epoch is then of all of it. None for a state between epochs,
            or for a line of the rest.
        mesh: Devices that share each batch, along an axis called `data`, such as
            `jax.make_mesh((8,), ("data",))`; see `fdl.learners.sharded`. The result is
            that of one device, to rounding. Each device has all of the data, and a last
            batch that cannot be divided equally is computed by every device. None for
            one device, or for those where data and state are.
        shard: What they share: `"batch"`, or `"batch+state"`, where each keeps a part
            of the state, too. `evaluate` and `predict` take such a state as it is.
        steps_per_chunk: Number of steps between reports, at least 1; None for a whole
            epoch. Does not change the result.
        stream_bytes: Memory for examples that are fetched, at least 1: as many steps'
            as fit are fetched at a time, or those of one. Does not change the result.
        on_chunk: Called after each chunk with the number of updates made so far, the
            epoch's training metrics so far, and the state, which is only valid during
            the call.
        on_part: Called after each chunk that does not end an epoch, and in long chunks
            every few seconds, with the state and the sums of the epoch's training
            metrics, which are only valid during the call: what `state` and `sums` take
            to go on from there.
        on_epoch: Called after each epoch with its line and the state, likewise. What
            returns True ends the training. See docs/how-to/callbacks.md.
        progress: Whether to show how far it is on standard error: a bar in a terminal
            or a notebook, and a line for each epoch.

    Returns:
        The trained state, the history, and where the time went.

    Raises:
        DataError: If the data are empty, ragged, not finite, smaller than a batch, or
            nothing that the learner can learn from.
        DivergenceError: If a loss or a parameter of a single run is no longer finite;
            it carries the step and the last good state.
        ValueError: If a number is out of range, the mesh has no axis `data` or unlike
            devices, or they cannot share a batch equally.

    Example:
        >>> import fdl, jax, numpy as np, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-2)
        ... )
        >>> data = fdl.Batch(np.eye(10).reshape(10, 5, 2, 1), np.arange(10))
        >>> run = fit(learner, data, epochs=50, batch_size=4, key=jax.random.key(0))
        >>> int(run.state.step), run.history[-1].train["accuracy"]
        (150, 1.0)
    """
    require_whole("[1, inf)", epochs=epochs)
    require_whole("[1, inf) or None", steps_per_chunk=steps_per_chunk)
    key = as_keys(key, "key")
    placement = Placement()
    require_shard(shard)
    if mesh is not None:
        placement = Placement(require_mesh(mesh), shard)
        learner = spread(learner, mesh, shard)
    loop = Loop.prepare(
        learner,
        data,
        key=key,
        batch_size=batch_size,
        shuffle_key=None if shuffle_key is None else as_key(shuffle_key, "shuffle_key"),
        validation_data=validation_data,
        early_stopping=early_stopping,
        placement=placement,
        stream_bytes=stream_bytes,
    )
    with contextlib.ExitStack() as stack:
        if progress:
            from fdl.train.progress import Shown  # rich takes a tenth of a second

            shown = stack.enter_context(Shown(epochs, epochs * loop.steps_per_epoch))
            on_chunk = _both(shown.on_chunk, on_chunk)
            on_epoch = _both(shown.on_epoch, on_epoch)
            steps_per_chunk = steps_per_chunk or max(1, loop.steps_per_epoch // _CHUNKS)
        return loop.run(
            learner,
            key,
            state,
            epochs=epochs,
            history=history,
            best=best,
            sums=sums,
            steps_per_chunk=steps_per_chunk,
            on_chunk=on_chunk,
            on_part=on_part,
            on_epoch=on_epoch,
        )


def _both(first: Callable[..., Any], second: Callable[..., Any] | None) -> Any:
    """Return a callback that calls two, and returns what the second does."""
    return lambda *args: (first(*args), second(*args) if second else None)[1]
