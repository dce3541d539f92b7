"""The common part of Keras' optimizers: clipping, weight decay, rates, state."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from fdl.arrays import Array, Number, PyTree, is_concrete, is_on
from fdl.ranges import require_number

LearningRate = Number | optax.Schedule


class Common(TypedDict, total=False):
    """Options of all optimizers."""

    weight_decay: Number | None
    clipnorm: Number | None
    global_clipnorm: Number | None
    clipvalue: Number | None


class OptimizerState(NamedTuple):
    """State of a Keras optimizer.

    Attributes:
        iterations: Number of updates so far.
        slots: Values that the optimizer keeps for each parameter, by Keras' names.
        learning_rate: The learning rate, a variable as in Keras, so that another value
            needs no other program; () where a schedule or a hyperparameter of the
            learner determines it.
    """

    iterations: Int[Array, ""]
    slots: dict[str, Any]
    learning_rate: PyTree = ()


class ScalarSlot(NamedTuple):
    """A slot with a single number for each parameter, not one for each of its elements.

    Attributes:
        value: The initial value.
    """

    value: float


# The step of one parameter: from its gradient, its slots, the learning rate and the
# number of the step (from 1) to its update and its new slots.
Rule = Callable[[Array, dict[str, Array], Array, Array], tuple[Array, dict[str, Array]]]


def follow(
    rule: Rule,
    slots: Mapping[str, Number | ScalarSlot],
    learning_rate: LearningRate,
    *,
    weight_decay: Number | None = None,
    clipnorm: Number | None = None,
    global_clipnorm: Number | None = None,
    clipvalue: Number | None = None,
) -> optax.GradientTransformation:
    """Return an optimizer that applies a rule, with clipping and weight decay.

    Args:
        rule: The step of one parameter.
        slots: Initial values of the slots that the rule keeps for each parameter.
        learning_rate: A number, or a schedule.
        weight_decay: See `fdl.keras.optimizers`.
        clipnorm: See `fdl.keras.optimizers`.
        global_clipnorm: See `fdl.keras.optimizers`.
        clipvalue: See `fdl.keras.optimizers`.
    """
    schedule = _schedule(learning_rate)
    if not callable(learning_rate):
        require_number("(0, inf)", learning_rate=learning_rate)
    require_number(
        "[0, inf) or None",
        weight_decay=weight_decay,
        clipnorm=clipnorm,
        global_clipnorm=global_clipnorm,
        clipvalue=clipvalue,
    )

    def init(params: PyTree) -> OptimizerState:
        def filled(slot: Number | ScalarSlot) -> PyTree:
            if isinstance(slot, ScalarSlot):
                return jax.tree.map(lambda p: jnp.asarray(slot.value, p.dtype), params)
            return jax.tree.map(lambda p: jnp.full(p.shape, slot, p.dtype), params)

        filled_slots = {name: filled(slot) for name, slot in slots.items()}
        rate = jnp.asarray(learning_rate, float) if schedule is None else ()
        return OptimizerState(jnp.int32(0), filled_slots, rate)

    def update(
        updates: PyTree, state: Any, params: PyTree | None = None
    ) -> tuple[PyTree, OptimizerState]:
        if weight_decay is not None and params is None:
            raise ValueError(
                "weight_decay needs params: call tx.update(grads, state, params)."
            )
        grads = _clip(updates, clipnorm, global_clipnorm, clipvalue)
        rate = state.learning_rate if schedule is None else schedule(state.iterations)

        def one(g: Array, *kept: Array) -> tuple[Array, dict[str, Array]]:
            # Compute with the rate and the step in the precision of the gradient.
            now = jnp.asarray(rate, g.dtype)
            step = (state.iterations + 1).astype(g.dtype)
            return rule(g, dict(zip(slots, kept, strict=True)), now, step)

        leaves, structure = jax.tree.flatten(grads)
        kept = [jax.tree.leaves(state.slots[name]) for name in slots]
        results = [one(*parts) for parts in zip(leaves, *kept, strict=True)]
        updates = structure.unflatten([change for change, _ in results])
        if weight_decay is not None:
            updates = jax.tree.map(
                lambda u, p: u - p * weight_decay * jnp.asarray(rate, p.dtype),
                updates,
                params,
            )
        new = {
            name: structure.unflatten([slot[name] for _, slot in results])
            for name in slots
        }
        return updates, OptimizerState(state.iterations + 1, new, state.learning_rate)

    return optax.GradientTransformation(init, update)


def _schedule(learning_rate: LearningRate) -> optax.Schedule | None:
    """Return a learning rate as a function of the step; None for a plain number."""
    if callable(learning_rate):
        return learning_rate
    return (
        None if is_concrete(learning_rate) else optax.constant_schedule(learning_rate)
    )


def _clip(
    grads: PyTree,
    clipnorm: Number | None,
    global_clipnorm: Number | None,
    clipvalue: Number | None,
) -> PyTree:
    def shrink(g: Array, norm: Float[Array, ""], limit: Any) -> Array:
        return g * limit / jnp.maximum(norm, limit)

    if is_on(clipnorm):
        norm = lambda g: jnp.sqrt(jnp.sum(g**2))
        return jax.tree.map(lambda g: shrink(g, norm(g), clipnorm), grads)
    if is_on(global_clipnorm):
        norm = optax.tree.norm(grads)
        return jax.tree.map(lambda g: shrink(g, norm, global_clipnorm), grads)
    if clipvalue is not None and is_on(clipvalue):
        return jax.tree.map(lambda g: jnp.clip(g, -clipvalue, clipvalue), grads)
    return grads
