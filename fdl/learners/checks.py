"""Checks of data against a model and a loss, before anything is compiled."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fdl.arrays import Array, DataError, PyTree, with_rows
from fdl.learner import State
from fdl.learners.modules import Applied, draw_variables
from fdl.learners.targets import Examples, meaning
from fdl.programs import program


def check_examples(
    model: Any,
    loss: Callable[[Any, Any], Any],
    preprocess: Callable[[PyTree], PyTree],
    apply_to: Callable[[State, PyTree], Applied],
    state: State,
    data: Examples,
) -> None:
    """Raise DataError unless a model and a loss can learn from these examples.

    Args:
        model: The module.
        loss: `(outputs, targets) -> losses`.
        preprocess: Function applied to inputs first.
        apply_to: `(state, inputs) -> applied`.
        state: A state, or its shapes.
        data: The examples.
    """
    check_inputs(model, preprocess, state, data.inputs)
    applied = program(apply_to).eval_shape(state, _shapes(2, data.inputs))
    outputs = applied.outputs
    if any(2 in x.shape for x in jax.tree.leaves(applied.sown)):
        three = program(apply_to).eval_shape(state, _shapes(3, data.inputs))
        _check_sown(applied.sown, three.sown)
    two, three = (_losses(n, loss, outputs, data.targets) for n in (2, 3))
    trailing = two.shape[1:]
    if two.shape == three.shape == ():
        raise DataError(
            "the loss returns a single number, but must return one for each example or "
            "token: do not average over examples, since the learner does."
        )
    if two.shape[:1] != (2,) or three.shape != (3, *trailing):
        raise DataError(
            f"the loss returns an array of shape {three.shape} for 3 examples and "
            f"{two.shape} for 2, but must return one number for each example or token. "
            f"For 2, outputs have shape {_described(outputs)}, targets "
            f"{_described(_shapes(2, data.targets))}: give them the same shape."
        )
    if data.weights is not None:
        _check_weights(data.weights, trailing)
    implied = meaning(loss)
    if implied.kind == "classes":
        if np.issubdtype(data.targets.dtype, np.integer):
            _check_classes(data, jax.tree.leaves(outputs)[0].shape[-1], implied.ignored)
        else:  # a distribution over the classes
            _check_shares(data)
    elif implied.kind in ("shares", "probabilities"):
        _check_shares(data)


def _shapes(count: int, tree: PyTree) -> PyTree:
    """Return the shapes that arrays would have with `count` examples."""
    return jax.tree.map(lambda x: with_rows(x, count), tree)


def _check_sown(two: PyTree, three: PyTree) -> None:
    """Raise DataError if an array sown for 2 examples has another shape for 3."""
    named, others = jax.tree_util.tree_leaves_with_path(two), jax.tree.leaves(three)
    for (path, x), other in zip(named, others, strict=True):
        if x.shape != other.shape:
            name = jax.tree_util.keystr(path[:-1], simple=True, separator="/")
            raise DataError(
                f"the model sows {name} of shape {x.shape} into the collection "
                "`losses`, with a number for each of 2 examples: sow one number for "
                "all, such as their mean."
            )


def _losses(count: int, loss: Callable, outputs: PyTree, targets: PyTree) -> Any:
    outputs, targets = _shapes(count, (outputs, targets))
    try:
        losses = program(loss).eval_shape(outputs, targets)
    except ValueError as error:
        # The errors of fdl.losses and of rank promotion describe the shapes.
        raise DataError(
            f"the loss does not accept the targets, here those of {count} examples: "
            f"{error}"
        ) from error
    except Exception as error:
        error.add_note(
            f"The loss was applied to outputs of shape {_described(outputs)} and "
            f"targets of shape {_described(targets)}."
        )
        raise
    if not hasattr(losses, "shape"):
        raise DataError(
            f"the loss returns a {type(losses).__name__}, but must return an array "
            "with one number for each example or token."
        )
    return losses


def check_inputs(
    model: Any, preprocess: Callable[[PyTree], PyTree], state: State, inputs: PyTree
) -> None:
    """Raise DataError if the model's parameters are for inputs of another shape.

    Args:
        model: The module.
        preprocess: Function applied to inputs first.
        state: A state, or its shapes.
        inputs: Inputs, or their shapes.
    """
    key = jax.eval_shape(jax.random.key, 0)
    try:
        one = jax.eval_shape(preprocess, _shapes(1, inputs))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"inputs of shape {_described(inputs)} cannot be preprocessed: {error}"
        ) from error
    # Called as in `start`, so that it is traced once for inputs of one shape.
    wanted, _ = program(draw_variables, model).eval_shape(key, one)
    shapes = lambda tree: {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    found = shapes(state.params)
    for name, shape in shapes(wanted).items():
        if found.get(name) != shape:
            raise DataError(
                f"the model does not take inputs of shape {_described(inputs)} with "
                f"the parameters in the state: {name} has shape {found.get(name)}, but "
                f"must have {shape}."
            )


def _check_weights(weights: Array, trailing: tuple[int, ...]) -> None:
    shape = np.shape(weights)
    if len(shape) > 1 + len(trailing) or shape[1:] != trailing[: len(shape) - 1]:
        raise DataError(
            f"weights have shape {shape}: pass one for each example, "
            f"{shape[:1]}"
            + (f", or for each token, {(*shape[:1], *trailing)}." if trailing else ".")
        )
    smallest = np.asarray(weights).min()
    if smallest < 0:
        raise DataError(f"weights contain {smallest}: they must be at least 0.")


def _counted(data: Examples, values: np.ndarray) -> np.ndarray:
    """Return which targets have a weight above 0, shaped like the targets."""
    if data.weights is None:
        return np.ones(values.shape, bool)
    counted = np.asarray(data.weights) > 0
    rest = values.ndim - counted.ndim
    return np.broadcast_to(counted.reshape(counted.shape + (1,) * rest), values.shape)


def _check_classes(data: Examples, classes: int, ignored: int | None) -> None:
    values = np.asarray(data.targets)
    bad = ((values < 0) | (values >= classes)) & _counted(data, values)
    if ignored is not None:
        bad &= values != ignored
    if bad.any():
        place = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        where = f"row {place[0]}" if len(place) == 1 else f"place {place}"
        raise DataError(
            f"label has the value {values[place]} in {where}, but the model has "
            f"{classes} classes, from 0 to {classes - 1} ({bad.sum()} such labels). "
            "Renumber the classes, or give such examples a weight of 0."
        )


def _check_shares(data: Examples) -> None:
    for leaf in jax.tree.leaves(data.targets):
        values = np.asarray(leaf)
        bad = ((values < 0) | (values > 1)) & _counted(data, values)
        if bad.any():
            place = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
            raise DataError(
                f"targets contain {values[place]} at {place}, but this loss expects "
                "probabilities: they must be in [0, 1]."
            )


def _described(tree: PyTree) -> str:
    shapes = jax.tree.map(np.shape, tree)
    return str(shapes)
