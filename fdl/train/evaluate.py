"""Use a trained state: measure it, and ask it."""

import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np
from flax.errors import FlaxError

from fdl.arrays import PyTree
from fdl.data import DataError, check, check_label
from fdl.learner import Learner, State
from fdl.metrics import add, compute


def evaluate(
    learner: Learner, state: State, data: PyTree, *, batch_size: int = 500
) -> dict[str, float]:
    """Measure a trained state on a whole data set, without randomness.

    Args:
        learner: What `state` was trained with.
        state: The trained state.
        data: Examples as a pytree of arrays with a common first axis, such as `Batch`.
        batch_size: Number of examples at a time; the last batch may be smaller. Changes
            memory and time, and the result only in its last digits.

    Returns:
        The mean of each of the learner's metrics, by name.

    Raises:
        DataError: If the data are empty, ragged or not finite, or have labels that the
            model has no class for.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.sgd(0.1)
        ... )
        >>> data = fdl.Batch(np.zeros((7, 28, 28, 1), np.uint8), np.arange(7))
        >>> state = learner.init(jax.random.key(0), data)
        >>> evaluate(learner, state, data, batch_size=4)["accuracy"]
        0.14285714285714285
    """
    check(data)
    check_fits(learner, state, data)
    return measure(learner, state, data, batch_size=batch_size)


def measure(
    learner: Learner, state: State, data: PyTree, *, batch_size: int = 500
) -> dict[str, float]:
    """Evaluate on data that were checked before."""
    parts = [_evaluate(learner, state, part) for part in split(data, batch_size)]
    return compute(functools.reduce(add, parts))


def warm_up(
    learner: Learner, state: State, data: PyTree, *, batch_size: int = 500
) -> None:
    """Compile what `measure` will run, by running it on one batch of each size."""
    total = len(jax.tree.leaves(data)[0])
    for size in {min(batch_size, total), total % batch_size} - {0}:
        batch = jax.tree.map(lambda x, n=size: x[:n], data)
        jax.block_until_ready(_evaluate(learner, state, batch))


def predict(
    learner: Learner, state: State, inputs: PyTree, *, batch_size: int = 500
) -> PyTree:
    """Return what a trained state answers to each input, such as probabilities.

    Args:
        learner: What `state` was trained with.
        state: The trained state.
        inputs: Inputs with a common first axis, such as `Batch.image`.
        batch_size: Number of inputs at a time; the last batch may be smaller.

    Returns:
        Outputs in the order of the inputs, on the host.

    Raises:
        DataError: If the inputs are empty, ragged or not finite.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.sgd(0.1)
        ... )
        >>> images = np.zeros((7, 28, 28, 1), np.uint8)
        >>> state = learner.init(jax.random.key(0), (images, np.arange(7)))
        >>> predict(learner, state, images, batch_size=4).shape
        (7, 10)
    """
    check(inputs)
    return in_batches(functools.partial(_predict, learner, state), inputs, batch_size)


def in_batches(
    function: Callable[[PyTree], PyTree], inputs: PyTree, batch_size: int
) -> PyTree:
    """Return what a function gives for all inputs, from some of them at a time.

    Example:
        >>> in_batches(lambda x: x + 1, np.arange(5), batch_size=2)
        array([1, 2, 3, 4, 5])
    """
    parts = [jax.device_get(function(part)) for part in split(inputs, batch_size)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def check_fits(learner: Learner, state: State, data: PyTree) -> None:
    """Raise DataError if a model cannot take `data`, or has no class for a label."""
    if not (isinstance(data, tuple) and len(data) == 2):
        return
    inputs, label = data
    try:
        jax.eval_shape(learner.evaluate, state, data)
    except (FlaxError, TypeError, ValueError) as error:
        raise DataError(
            f"the model does not take inputs of shape {np.shape(inputs)}: {error}"
        ) from error
    try:
        outputs = jax.eval_shape(learner.predict, state, inputs)
    except (FlaxError, TypeError, ValueError):
        return  # it predicts from something else, as a generator does from latents
    if np.shape(label) == getattr(outputs, "shape", ())[:-1] == (len(label),):
        check_label(label, num_classes=outputs.shape[-1])


def split(data: PyTree, batch_size: int) -> Iterator[PyTree]:
    """Yield a data set in batches, the last perhaps smaller."""
    total = len(jax.tree.leaves(data)[0])
    for first in range(0, total, batch_size):
        yield jax.tree.map(lambda x, i=first: x[i : i + batch_size], data)


@functools.partial(jax.jit, static_argnames="learner")
def _evaluate(learner: Learner, state: State, batch: PyTree) -> PyTree:
    return learner.evaluate(state, batch)


@functools.partial(jax.jit, static_argnames="learner")
def _predict(learner: Learner, state: State, inputs: PyTree) -> PyTree:
    return learner.predict(state, inputs)
