"""Loss scaling, which keeps small gradients from underflow in half precision."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from fdl.arrays import Array, Number, PyTree
from fdl.keras.rules import OptimizerState
from fdl.ranges import require_number, require_whole


class LossScaleState(NamedTuple):
    """State of `loss_scaled`.

    Attributes:
        step_counter: Number of steps since the scale changed.
        loss_scale: Factor by which the loss must be multiplied.
        inner_state: State of the wrapped optimizer.
    """

    step_counter: Int[Array, ""]
    loss_scale: Float[Array, ""]
    inner_state: PyTree


def loss_scaled(
    inner_optimizer: optax.GradientTransformation,
    initial_scale: Number = 2.0**15,
    dynamic_growth_steps: int = 2000,
) -> optax.GradientTransformation:
    """Scale the loss (Micikevicius et al., 2018), like Keras' `LossScaleOptimizer`.

    It takes gradients of the loss times `state.loss_scale`, as fdl's learners compute
    them. A step whose gradients are not finite is skipped, and halves the scale.

    Args:
        inner_optimizer: The optimizer to wrap.
        initial_scale: Initial scale, above 0.
        dynamic_growth_steps: Number of consecutive finite steps after which the scale
            doubles, at least 1.

    Example:
        >>> tx = loss_scaled(optax.sgd(0.5), initial_scale=4.0)
        >>> state = tx.init(jnp.zeros(1))
        >>> updates, state = tx.update(jnp.full(1, 4.0), state)
        >>> updates.tolist(), float(state.loss_scale)
        ([-0.5], 4.0)
        >>> updates, state = tx.update(jnp.full(1, jnp.inf), state)
        >>> updates.tolist(), float(state.loss_scale)
        ([0.0], 2.0)
    """
    require_number("(0, inf)", initial_scale=initial_scale)
    require_whole("[1, inf)", dynamic_growth_steps=dynamic_growth_steps)

    def init(params: PyTree) -> LossScaleState:
        inner = inner_optimizer.init(params)
        if isinstance(inner, OptimizerState):
            inner = inner._replace(loss_scale=())  # or the loss would be scaled twice
        return LossScaleState(jnp.int32(0), jnp.float32(initial_scale), inner)

    def update(
        updates: PyTree, state: Any, params: PyTree | None = None
    ) -> tuple[PyTree, LossScaleState]:
        parts = [jnp.isfinite(g).all() for g in jax.tree.leaves(updates)]
        is_finite = jnp.stack(parts).all()
        scale, inner = state.loss_scale, state.inner_state
        grads = jax.tree.map(lambda g: g / scale.astype(g.dtype), updates)
        changes, new = inner_optimizer.update(grads, inner, params)
        choose = lambda a, b: jnp.where(is_finite, a, b)
        changes = jax.tree.map(lambda u: choose(u, jnp.zeros_like(u)), changes)
        new = jax.tree.map(choose, new, inner)
        grows = state.step_counter == dynamic_growth_steps - 1
        scale = choose(jnp.where(grows, scale * 2, scale), scale / 2)
        count = jnp.where(is_finite & ~grows, state.step_counter + 1, 0)
        return changes, LossScaleState(count, scale, new)

    return optax.GradientTransformation(init, update)
