"""Evaluate a trained state and predict with it."""

import contextlib
import functools
from collections.abc import Callable, Generator
from typing import Any

import jax
import numpy as np

from fdl.arrays import DataError, PyTree, with_rows
from fdl.learner import Learner, State, require_learner, require_state
from fdl.members import many, member
from fdl.metrics import add, compute
from fdl.programs import program
from fdl.ranges import require_whole
from fdl.train.feed import ahead
from fdl.train.parts import (
    Fetched,
    check_part,
    fetched,
    first_of,
    look_at,
    num_examples,
    parts,
)
from fdl.train.placement import Placement, on_auto_mesh

EXAMPLES = 500  # default batch size of evaluation

Measured = dict[str, Any]
"""Metrics by name: numbers, or for many members, arrays with one number for each."""


@on_auto_mesh
def evaluate(
    learner: Learner, state: State, data: PyTree, *, batch_size: int = EXAMPLES
) -> Measured:
    """Evaluate a trained state on a whole data set.

    Args:
        learner: The learner that `state` was trained with.
        state: The trained state.
        data: Examples as a pytree of arrays with a common first axis, such as a
            `Batch`, or `Buckets` of them.
        batch_size: Examples per batch; the last batch may be smaller. Affects memory
            and time, and the result only by rounding.

    Returns:
        The learner's metrics by name.

    Raises:
        DataError: If the data are empty, ragged, not finite, or unsuitable for the
            learner.
        ValueError: If `batch_size` is below 1, or the learner or the state is no such
            thing.

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
    require_learner(learner)
    require_state(state)
    require_whole("[1, inf)", batch_size=batch_size)
    data = checked(learner, state, data)
    return measure(learner, state, data, batch_size=batch_size)


def measure(
    learner: Learner, state: State, data: PyTree, *, batch_size: int = EXAMPLES
) -> Measured:
    """Evaluate on data that are already checked."""
    run, batches = program(learner.evaluate), []
    for part in parts(data):
        with contextlib.closing(split(part, batch_size)) as each:
            batches += [run(state, batch) for batch in each]
    return compute(functools.reduce(add, batches))


def warm_up(
    learner: Learner, state: State, data: PyTree, *, batch_size: int = EXAMPLES
) -> None:
    """Compile the programs of `measure` by running them on a batch of each size."""
    run = program(learner.evaluate)
    for part in parts(data):
        total = num_examples(part)
        for size in {min(batch_size, total), total % batch_size} - {0}:
            batch = next(split(part, size))
            jax.block_until_ready(run(state, batch))


@on_auto_mesh
def predict(
    learner: Learner, state: State, inputs: PyTree, *, batch_size: int = EXAMPLES
) -> PyTree:
    """Return the predictions of a trained state, such as class probabilities.

    Args:
        learner: The learner that `state` was trained with.
        state: The trained state.
        inputs: Inputs with a common first axis, such as `Batch.image`.
        batch_size: Inputs per batch; the last batch may be smaller.

    Returns:
        Predictions in the order of the inputs, on the host; for many members, with a
        leading axis of members.

    Raises:
        DataError: If the inputs are empty, ragged or not finite.
        ValueError: If `batch_size` is below 1, or the learner or the state is no such
            thing.

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
    require_learner(learner)
    require_state(state)
    require_whole("[1, inf)", batch_size=batch_size)
    inputs = fetched(inputs)
    check_part(inputs)
    answer, axis = program(learner.predict), state.step.ndim
    _check_answers(answer, state, inputs, axis)
    return in_batches(functools.partial(answer, state), inputs, batch_size, axis=axis)


def _check_answers(answer: Any, state: State, inputs: PyTree, axis: int) -> None:
    """Raise DataError unless there is one prediction per input."""
    expected = min(3, num_examples(inputs))
    batch = jax.tree.map(lambda x: with_rows(x, expected), first_of(inputs))
    for leaf in jax.tree.leaves(answer.eval_shape(state, batch)):
        if leaf.shape[axis : axis + 1] != (expected,):
            raise DataError(
                f"{expected} inputs give predictions of shape {leaf.shape[axis:]}: the "
                "first axis of the inputs must count them. Pass inputs[None] for one."
            )


def predict_many(
    learner: Learner, state: State, inputs: PyTree, *, batch_size: int = EXAMPLES
) -> PyTree:
    """Return the predictions of each of many members.

    Args:
        learner: The learner of one member; hyperparameters that differ between members
            must not affect predictions.
        state: States of all members, such as `FitManyResult.state`.
        inputs: Inputs with a common first axis, such as `Batch.image`.
        batch_size: Inputs per batch.

    Returns:
        Predictions with a first axis of members and a second of inputs, on the host.

    Raises:
        DataError: If the inputs are empty, ragged or not finite.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.sgd(0.1)
        ... )
        >>> images = np.zeros((7, 28, 28, 1), np.uint8)
        >>> state = fdl.many(learner, 3).init(
        ...     jax.random.key(0), (images, np.arange(7))
        ... )
        >>> predict_many(learner, state, images).shape
        (3, 7, 10)
    """
    # One at a time, which needs no more memory than a single member.
    one = many(learner, 1, strategy="map")
    answers = [
        predict(one, member(state, slice(k, k + 1)), inputs, batch_size=batch_size)
        for k in range(len(state.step))
    ]
    return jax.tree.map(lambda *each: np.concatenate(each), *answers)


def ensemble(
    learner: Learner, state: State, inputs: PyTree, *, batch_size: int = EXAMPLES
) -> PyTree:
    """Return the mean prediction of many members (Lakshminarayanan et al., 2017).

    Deep ensembles, arXiv:1612.01474: for classifiers, the mean of the members' class
    probabilities. Arguments and errors are as for `predict_many`.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.sgd(0.1)
        ... )
        >>> images = np.zeros((7, 28, 28, 1), np.uint8)
        >>> state = fdl.many(learner, 3).init(
        ...     jax.random.key(0), (images, np.arange(7))
        ... )
        >>> ensemble(learner, state, images).shape
        (7, 10)
    """
    answers = predict_many(learner, state, inputs, batch_size=batch_size)
    return jax.tree.map(lambda each: each.mean(axis=0), answers)


def in_batches(
    function: Callable[[PyTree], PyTree],
    inputs: PyTree,
    batch_size: int,
    *,
    axis: int = 0,
) -> PyTree:
    """Apply a function to inputs in batches, and concatenate the results.

    Args:
        function: Maps a batch of inputs to arrays.
        inputs: All inputs.
        batch_size: Inputs per batch.
        axis: Axis of the results that counts inputs.

    Example:
        >>> in_batches(lambda x: x + 1, np.arange(5), batch_size=2)
        array([1, 2, 3, 4, 5])
    """
    with contextlib.closing(split(inputs, batch_size)) as parts:
        each = [jax.device_get(function(part)) for part in parts]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=axis), *each)


def checked(learner: Learner, state: State, data: PyTree) -> PyTree:
    """Check data to evaluate on, and prepare stored examples for fetching.

    Args:
        learner: The learner.
        state: A state, or its shapes.
        data: The data.

    Raises:
        DataError: If the data are invalid or unsuitable for the learner. Stored
            examples raise it when they are fetched.
    """
    data = fetched(data)
    for part in parts(data):
        check_part(part)
        look_at(part, functools.partial(learner.check, state))
    return data


def split(data: PyTree, batch_size: int) -> Generator[PyTree]:
    """Yield a data set in batches; the last may be smaller."""
    count = num_examples(data)
    firsts = range(0, count, batch_size)
    if isinstance(data, Fetched):
        place = Placement().chunk
        index = lambda first: np.arange(first, min(first + batch_size, count))
        yield from ahead(lambda first: place(data.fetch(index(first))), firsts)
        return
    for first in firsts:
        yield jax.tree.map(lambda x, i=first: x[i : i + batch_size], data)
