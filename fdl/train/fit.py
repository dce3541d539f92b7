"""Train a learner on a data set."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from jax.sharding import Mesh

from fdl.arrays import PyTree, Seed, Seeds, as_key, as_keys
from fdl.learner import Learner, State, require_learner
from fdl.metrics import Metrics
from fdl.ranges import require_whole
from fdl.sharding import Shard, require_mesh, require_shard, spread
from fdl.train.evaluate import Measured
from fdl.train.feed import STREAM_BYTES
from fdl.train.loop import Loop
from fdl.train.placement import Placement, on_auto_mesh
from fdl.train.results import Epoch, FitResult
from fdl.train.start import require_functions
from fdl.train.stopping import EarlyStopping

_CHUNKS = 20  # updates of the progress bar per epoch


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

    The data are moved to the device once per call; to call `fit` in a loop, move them
    yourself first, with `jax.device_put`. Data that do not fit into memory stay where
    they are stored (`fdl.data.stored`), and chunks of them are fetched while the device
    computes; the result is the same. Each epoch visits the examples in a new order,
    drawn from `key` and the epoch's number, in batches of `batch_size`; the remainder
    makes a last, smaller batch, as in Keras.
    The steps of an epoch run inside one compiled program, which is reused for every
    learner that differs only in the numbers in its state. The same arguments give the
    same result.

    A learner of many members (`fdl.many`) is trained like any other, each member on
    batches drawn with its own key. A member that meets a non-finite number is rolled
    back to the end of its last epoch and stays there; the others are unaffected.

    Args:
        learner: The learner to train; see `fdl.learners`.
        data: Training examples as a pytree of arrays with a common first axis, such as
            a `Batch`; `Buckets` of several whose arrays differ in shape;
            `fdl.data.stored` examples, which are checked as they are fetched; or
            `fdl.data.Batches`.
        epochs: Total number of passes over the data, at least 1, including those that
            `state` has already made.
        batch_size: Examples per update, from 1 to the number of examples.
        key: Random key or seed (see `fdl.arrays.as_key`) of the initial parameters, the
            order of the data, and the learner's random numbers. For many members: one
            for each, or one to split.
        shuffle_key: Random key of the order of the data alone; None to use `key`. Runs
            with the same one see the same batches, and so do all members, which then
            train faster.
        validation_data: Examples to evaluate on after each epoch; None for none.
        early_stopping: When to stop before the last epoch, and whether to return the
            best state; None to train to the end.
        state: State to resume from, which is left unchanged; None to start with
            `learner.init`. With the data, batch size, `key` and `history` of the run
            that it is from, training continues as if it had never stopped. Its
            hyperparameters take precedence over the learner's.
        history: The epochs that `state` has made, from `FitResult.history` or
            `on_epoch`. The result's history begins with them, members that had stopped
            or diverged stay as they were, and early stopping continues; without them,
            it starts over.
        best: The state after the best of these epochs, for early stopping to restore;
            None if that is `state`.
        sums: The sums that `on_part` was passed with a `state` within an epoch: the
            metrics of this epoch then cover all of it. None for a state between epochs,
            or to cover only the rest.
        mesh: Devices that share each batch, along an axis called `data`, such as
            `jax.make_mesh((8,), ("data",))`; see `fdl.learners.sharded`. The result is
            that of one device, up to rounding. The data are replicated on each device,
            and a last batch that cannot be divided equally is computed by every device.
            None for one device, or for the devices of data and state.
        shard: What is divided among the devices: `"batch"`, or `"batch+state"`, where
            each also holds a part of the state. `evaluate` and `predict` accept such a
            state.
        steps_per_chunk: Number of steps between reports, at least 1; None for a whole
            epoch. Does not change the result.
        stream_bytes: Memory for prefetched examples in bytes, at least 1: those of as
            many steps as fit, or of one step, are fetched at a time. Does not change
            the result.
        on_chunk: Called after each chunk with the number of updates made so far, the
            epoch's training metrics so far, and the state, which is only valid during
            the call.
        on_part: Called after each chunk that does not end an epoch, and every few
            seconds within long chunks, with the state and the sums of the epoch's
            training metrics, which are only valid during the call: pass copies of them
            as `state` and `sums` to resume from there.
        on_epoch: Called after each epoch with its line of the history and the state,
            which is only valid during the call; return True to end the training.
        progress: Whether to show progress on standard error: a bar in a terminal or a
            notebook, and a line for each epoch.

    Returns:
        The trained state, the history, and the time that was spent.

    Raises:
        DataError: If the data are empty, ragged, not finite, smaller than a batch, or
            unsuitable for the learner.
        DivergenceError: If a loss or a parameter of a single run becomes non-finite; it
            carries the step and the last good state.
        ValueError: If a number is out of range, an argument of another kind, the mesh
            has no axis `data` or mixes kinds of devices, or the devices cannot share a
            batch equally.

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
    require_learner(learner)
    require_whole("[1, inf)", epochs=epochs)
    require_whole("[1, inf) or None", steps_per_chunk=steps_per_chunk)
    require_functions(on_chunk=on_chunk, on_part=on_part, on_epoch=on_epoch)
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
            from fdl.train.progress import Shown  # importing rich takes 0.1 s

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
    """Return a callback that calls both, and returns the result of the second."""
    return lambda *args: (first(*args), second(*args) if second else None)[1]
