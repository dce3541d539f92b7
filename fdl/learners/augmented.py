"""Training on randomly augmented examples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from fdl.arrays import DataError, Key, PyTree
from fdl.learner import Learner, State
from fdl.metrics import Metrics

Change = Callable[[Key, PyTree], PyTree]

# Larger than any step number, so that these draws differ from those of dropout.
_TAG = 0x61756765


def augmented(
    learner: Learner,
    change: Change | None = None,
    *,
    batch_change: Change | None = None,
) -> Learner:
    """Return a learner that augments each training batch at random.

    Only `step` augments; `evaluate` and `predict` are unchanged. Random keys depend on
    the run's key, the step and the example's place in the batch, inside the compiled
    step, so that a run is reproducible and no two steps draw the same.

    Args:
        learner: Any learner of one member; apply `fdl.many` to the result for several.
        change: `(key, input) -> input`, applied to the inputs of each example with its
            own key, such as those in `fdl.data.augment`. Inputs are the key or field
            `inputs` of a batch, else its first part, or the batch itself if it is an
            array. Other parts of a batch, such as targets, are unchanged.
        batch_change: `(key, batch) -> batch`, applied to the whole batch afterwards,
            such as `fdl.data.augment.mixup`.

    Raises:
        DataError: In a step, if a batch has no such inputs.

    Example:
        >>> import fdl, optax
        >>> from fdl.data import augment
        >>> learner = augmented(
        ...     fdl.learners.supervised(
        ...         fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ...     ),
        ...     augment.compose(augment.shift(2), augment.rotate(10.0)),
        ... )
        >>> batch = fdl.Batch(jnp.ones((8, 28, 28, 1)), jnp.arange(8))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> int(state.step), sorted(measured)
        (1, ['accuracy', 'loss'])
    """
    update = learner.step

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        key = jax.random.fold_in(jax.random.fold_in(state.key, _TAG), state.step)
        if change is not None:
            each, first = jax.vmap(change), jax.random.fold_in(key, 0)
            batch = _change_inputs(
                lambda inputs: each(_keys(first, inputs), inputs), batch
            )
        if batch_change is not None:
            batch = batch_change(jax.random.fold_in(key, 1), batch)
        return update(state, batch)

    made = learner._replace(step=step)
    tune = learner.tune
    if tune is None:
        return made
    return made._replace(
        tune=lambda hparams: augmented(tune(hparams), change, batch_change=batch_change)
    )


def _keys(key: Key, inputs: PyTree) -> Shaped[jax.Array, " batch"]:
    count = len(jax.tree.leaves(inputs)[0])
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count))


def _change_inputs(change: Callable[[PyTree], PyTree], batch: PyTree) -> PyTree:
    fields = getattr(batch, "_fields", ())
    if fields:
        name = "inputs" if "inputs" in fields else fields[0]
        return batch._replace(**{name: change(getattr(batch, name))})
    if isinstance(batch, dict) and "inputs" in batch:
        return {**batch, "inputs": change(batch["inputs"])}
    if isinstance(batch, tuple) and batch:
        return (change(batch[0]), *batch[1:])
    if isinstance(batch, jax.Array | np.ndarray):
        return change(batch)
    raise DataError(
        f"a batch of type {type(batch).__name__} has no known inputs: pass a tuple "
        "with the inputs first, or name them `inputs`."
    )
