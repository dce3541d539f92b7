"""Gradient descent on one loss of one model: what most ways of learning share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float

from fdl.arrays import Array, Key, PyTree
from fdl.learner import State

MeanLoss = Callable[[PyTree], tuple[Float[Array, ""], Any]]


def start(
    model: Any, optimizer: optax.GradientTransformation, key: Key, *inputs: Array
) -> State:
    """Return the state before the first update: a model as drawn for its inputs.

    Example:
        >>> import fdl
        >>> images = jnp.ones((1, 28, 28, 1))
        >>> state = start(fdl.models.MLP(10), optax.sgd(0.1), jax.random.key(0), images)
        >>> int(state.step), sorted(state.params)
        (0, ['dense1', 'head'])
    """
    model_key, run_key = jax.random.split(key)
    variables = model.init(model_key, *inputs)
    params = variables["params"]
    return State(
        step=jnp.int32(0),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
        key=run_key,
    )


def descend(
    state: State, loss: MeanLoss, optimizer: optax.GradientTransformation
) -> tuple[State, Float[Array, ""], Any]:
    """Make one update; return the state, the loss before it, and what else was found.

    Args:
        state: Where to start; its batch statistics are left to the caller.
        loss: `params -> (loss, what else is found)`.
        optimizer: The one that `state.opt_state` is of.

    Example:
        >>> state = State(jnp.int32(0), jnp.float32(3), {}, (), jax.random.key(0))
        >>> optimizer = optax.sgd(0.5)
        >>> state = state._replace(opt_state=optimizer.init(state.params))
        >>> state, loss, _ = descend(state, lambda p: (p**2, None), optimizer)
        >>> float(state.params), float(loss)
        (0.0, 9.0)
    """
    params, opt_state, value, found = update(
        state.params, state.opt_state, loss, optimizer
    )
    state = state._replace(step=state.step + 1, params=params, opt_state=opt_state)
    return state, value, found


def update(
    params: PyTree,
    opt_state: PyTree,
    loss: MeanLoss,
    optimizer: optax.GradientTransformation,
) -> tuple[PyTree, PyTree, Float[Array, ""], Any]:
    """Return new parameters and optimizer state, the loss, and what else was found."""
    (value, found), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, value, found
