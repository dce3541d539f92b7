"""Predicting with many at once."""

import jax
import numpy as np

from fdl.arrays import PyTree
from fdl.learner import Learner, State
from fdl.train.evaluate import predict
from fdl.train.many import member


def predict_many(
    learner: Learner, state: State, inputs: PyTree, *, batch_size: int = 500
) -> PyTree:
    """Return what each of many members answers to each input.

    Args:
        learner: What the members were trained with; what differed between theirs must
            not matter to predictions.
        state: States of all members, as `FitMany.state`.
        inputs: Inputs with a common first axis, such as `Batch.image`.
        batch_size: Number of inputs at a time.

    Returns:
        Outputs with a first axis of members and a second of inputs, on the host.

    Raises:
        DataError: If the inputs are empty, ragged or not finite.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.sgd(0.1)
        ... )
        >>> images = np.zeros((7, 28, 28, 1), np.uint8)
        >>> init = lambda key: learner.init(key, (images, np.arange(7)))
        >>> state = jax.vmap(init)(jax.random.split(jax.random.key(0), 3))
        >>> predict_many(learner, state, images).shape
        (3, 7, 10)
    """
    answers = [
        predict(learner, member(state, k), inputs, batch_size=batch_size)
        for k in range(len(state.step))
    ]
    return jax.tree.map(lambda *each: np.stack(each), *answers)


def ensemble(
    learner: Learner, state: State, inputs: PyTree, *, batch_size: int = 500
) -> PyTree:
    """Return the mean of what many members answer (Lakshminarayanan et al., 2017).

    Deep ensembles, arXiv:1612.01474: for classifiers, the mean of the members' class
    probabilities. Arguments and errors are those of `predict_many`.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.sgd(0.1)
        ... )
        >>> images = np.zeros((7, 28, 28, 1), np.uint8)
        >>> init = lambda key: learner.init(key, (images, np.arange(7)))
        >>> state = jax.vmap(init)(jax.random.split(jax.random.key(0), 3))
        >>> ensemble(learner, state, images).shape
        (7, 10)
    """
    answers = predict_many(learner, state, inputs, batch_size=batch_size)
    return jax.tree.map(lambda each: each.mean(axis=0), answers)
