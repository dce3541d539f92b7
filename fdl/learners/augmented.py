"""Training on randomly changed examples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from fdl.arrays import DataError, Key, PyTree
from fdl.learner import Learner, State
from fdl.metrics import Metrics

Change = Callable[[Key, PyTree], PyTree]

# Keys of steps are made from smaller numbers, so draws here are not those of dropout.
_TAG = 0x61756765


def augmented(
    learner: Learner,
    change: Change | None = None,
    *,
    batch_change: Change | None = None,
) -> Learner:
    """Make a learner whose steps change the examples of each batch at random first.

    Only training changes examples; measures and predictions are the learner's own.
    Draws come from the run's key, the step and the example's place in the batch, inside
    the compiled step, so that a run can be repeated and a step never repeats another.

    Args:
        learner: Any learner of one member; `fdl.many` makes many of the
            result.
        change: `(key, input) -> input`, applied to each example's inputs with a key of
            its own; `fdl.data.augment` has some. Inputs are the key or field `inputs`
            of a batch, else its first part, or the batch itself if it is an array.
            What else a batch has, such as targets, is left as it is.
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
        f"the inputs of a {type(batch).__name__} are not known: give a tuple with the "
        "inputs first, or name them `inputs`"
    )
