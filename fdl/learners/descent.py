"""Gradient descent on one loss of one model, shared by most learners."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float

from fdl.arrays import Array, PyTree, Seed, as_key
from fdl.learner import State
from fdl.learners.modules import draw_variables
from fdl.programs import program

Optimizer = optax.GradientTransformation | optax.MultiSteps
"""Any optimizer of optax."""

MeanLoss = Callable[[PyTree], tuple[Float[Array, ""], Any]]


def start(model: Any, optimizer: Optimizer, key: Seed, inputs: PyTree) -> State:
    """Return the state before the first update, for inputs shaped like these.

    The model's variables are initialized in a compiled program. The optimizer's state
    is not: its numbers, such as a learning rate, would become constants of the program.

    Example:
        >>> import fdl
        >>> images = jnp.ones((1, 28, 28, 1))
        >>> state = start(fdl.models.MLP(10), optax.sgd(0.1), jax.random.key(0), images)
        >>> int(state.step), sorted(state.params)
        (0, ['dense1', 'head'])
    """
    model_key, run_key = jax.random.split(as_key(key))
    params, model_state = program(draw_variables, model, once=True)(model_key, inputs)
    return State(
        step=jnp.int32(0),
        params=params,
        key=run_key,
        opt_state=optimizer.init(params),
        model_state=model_state,
    )


class Descent(NamedTuple):
    """Result of an update.

    Attributes:
        params: The new parameters.
        opt_state: The new state of the optimizer.
        loss: The loss before the update.
        found: The auxiliary output of the loss function.
    """

    params: PyTree
    opt_state: PyTree
    loss: Float[Array, ""]
    found: Any


Update = Callable[..., tuple[PyTree, PyTree]]
"""An optimizer's `update`, which also accepts `value`, `grad`, `value_fn`, `obj_fn` and
`grad_fn` by keyword."""


def update_of(optimizer: Optimizer) -> Update:
    """Return an optimizer's `update`, ignoring extra arguments that it does not accept.

    `optax.with_extra_args_support` does this for a whole optimizer. A learner's step
    holds only the `update`: numbers that an optimizer stores in its state belong to its
    `init`, and must not identify the program of a step.
    """
    update = optimizer.update
    taken = inspect.signature(update).parameters.values()
    # Not by its type: `optax.contrib.sam` claims to accept all, but accepts one.
    names = [parameter.name for parameter in taken]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        # Line searches pass arguments that they do not know on to `value_fn`.
        names += ["value", "grad", "value_fn", "obj_fn"]

    def update_with(grads: PyTree, state: PyTree, params: PyTree, **extra: Any) -> Any:
        extra = {name: value for name, value in extra.items() if name in names}
        return update(grads, state, params, **extra)

    return update_with


def descend(
    params: PyTree, opt_state: PyTree, loss: MeanLoss, update: Update
) -> Descent:
    """Make one update.

    Args:
        params: The current parameters.
        opt_state: The optimizer's state.
        loss: `params -> (loss, auxiliary output)`.
        update: From `update_of`, of any optimizer: also of those that need the loss's
            value, gradient or function, such as `optax.lbfgs`, or that have a
            `loss_scale` in their state, by which the loss is multiplied.

    Example:
        >>> optimizer, x = optax.sgd(0.5), jnp.float32(3)
        >>> square = lambda x: (x**2, None)
        >>> made = descend(x, optimizer.init(x), square, update_of(optimizer))
        >>> float(made.params), float(made.loss)
        (0.0, 9.0)
    """
    scale = _loss_scale(opt_state)

    def scaled(params: PyTree) -> Any:
        value, found = loss(params)
        return value if scale is None else value * scale, (value, found)

    # Line searches pass on to it the `obj_fn` of `optax.contrib.sophia`.
    def value_fn(params: PyTree, *, obj_fn: Any = None) -> Array:
        return loss(params)[0]

    (_, (value, found)), grads = jax.value_and_grad(scaled, has_aux=True)(params)
    updates, opt_state = update(
        grads,
        opt_state,
        params,
        value=value,
        grad=grads,
        value_fn=value_fn,
        obj_fn=value_fn,
        grad_fn=lambda params, *_: jax.grad(loss, has_aux=True)(params)[0],
    )
    return Descent(optax.apply_updates(params, updates), opt_state, value, found)


def _loss_scale(opt_state: PyTree) -> Array | None:
    """Return the factor by which an optimizer scales the loss; None if it does not."""
    found = [
        scale
        for _, scale in optax.tree.get_all_with_path(opt_state, "loss_scale")
        if not isinstance(scale, tuple)
    ]
    if len(found) > 1:
        raise ValueError("several parts of the optimizer scale the loss: use only one.")
    return found[0] if found else None
