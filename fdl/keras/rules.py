"""The common part of Keras' optimizers: clipping, weight decay, averaging, state."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from fdl.arrays import Array, Number, PyTree, is_concrete, is_on
from fdl.ranges import require_number, require_whole

LearningRate = Number | optax.Schedule


class Shared(TypedDict, total=False):
    """Options of all optimizers except weight decay, see `fdl.keras.optimizers`."""

    clipnorm: Number | None
    global_clipnorm: Number | None
    clipvalue: Number | None
    use_ema: bool
    ema_momentum: Number
    ema_overwrite_frequency: int | None
    loss_scale_factor: Number | None
    gradient_accumulation_steps: int | None


class Common(Shared, total=False):
    """Options of all optimizers, see `fdl.keras.optimizers`."""

    weight_decay: Number | None


class OptimizerState(NamedTuple):
    """State of a Keras optimizer.

    Attributes:
        iterations: Number of updates so far.
        slots: Values that the optimizer stores for each parameter, by Keras' names.
        learning_rate: The learning rate, a variable as in Keras, so that changing it
            does not recompile; () if a schedule or a hyperparameter of the learner
            determines it.
        loss_scale: Factor of the loss whose gradients are passed; () for none.
    """

    iterations: Int[Array, ""]
    slots: dict[str, Any]
    learning_rate: PyTree = ()
    loss_scale: PyTree = ()


class Now(NamedTuple):
    """Arguments of a rule in addition to the gradient and the slots.

    Attributes:
        rate: The learning rate.
        step: Number of the step, from 1.
        param: The parameter, after weight decay; None if no parameters were passed.
        path: Path of the parameter, such as `dense/kernel`.
    """

    rate: Array
    step: Array
    param: Any
    path: str


Rule = Callable[[Array, dict[str, Array], Now], tuple[Array, dict[str, Array]]]
"""The step of one parameter; returns its update and its new slots."""

Slot = Number | Callable[[str, Array], Array]
"""Initial value of a slot: a number, or a function of the parameter and its path."""

Decay = Number | None | Callable[[str, Array], Number | None]


def scalar(value: float) -> Slot:
    """Return a slot with one number per parameter instead of one per element."""
    return lambda path, p: jnp.asarray(value, p.dtype)


def follow(
    rule: Rule,
    slots: Mapping[str, Slot],
    learning_rate: LearningRate,
    *,
    weight_decay: Decay = None,
    clipnorm: Number | None = None,
    global_clipnorm: Number | None = None,
    clipvalue: Number | None = None,
    use_ema: bool = False,
    ema_momentum: Number = 0.99,
    ema_overwrite_frequency: int | None = None,
    loss_scale_factor: Number | None = None,
    gradient_accumulation_steps: int | None = None,
    needs_params: bool = False,
) -> optax.GradientTransformation:
    """Return an optimizer that applies a rule, with the options of all optimizers.

    Args:
        rule: The step of one parameter.
        slots: Initial values of the rule's slots, by name.
        learning_rate: A number, or a schedule.
        weight_decay: See `fdl.keras.optimizers`; or a function of a parameter and its
            path.
        clipnorm: See `fdl.keras.optimizers`, as for all options below but the last.
        global_clipnorm: ...
        clipvalue: ...
        use_ema: ...
        ema_momentum: ...
        ema_overwrite_frequency: ...
        loss_scale_factor: ...
        gradient_accumulation_steps: ...
        needs_params: Whether the rule uses the parameters.
    """
    schedule = _schedule(learning_rate)
    if not callable(learning_rate):
        require_number("(0, inf)", learning_rate=learning_rate)
    if not callable(weight_decay):
        require_number("[0, inf) or None", weight_decay=weight_decay)
    require_number("(0, inf) or None", loss_scale_factor=loss_scale_factor)
    require_number("[0, 1]", ema_momentum=ema_momentum)
    for name, steps, least in (
        ("ema_overwrite_frequency", ema_overwrite_frequency, 1),
        ("gradient_accumulation_steps", gradient_accumulation_steps, 2),
    ):
        if steps is not None:
            require_whole(f"[{least}, inf)", **{name: steps})
    clip = _clip(clipnorm, global_clipnorm, clipvalue)
    own = tuple(slots)
    every = dict(slots)
    every |= {"average": 0.0} if use_ema else {}
    every |= {"gradient_accumulator": 0.0} if gradient_accumulation_steps else {}
    needs_params = needs_params or weight_decay is not None or use_ema
    several = gradient_accumulation_steps or 1

    def init(params: PyTree) -> OptimizerState:
        def filled(slot: Slot) -> PyTree:
            def one(path: Any, p: Array) -> Array:
                if callable(slot):
                    return slot(_name(path), p)
                return jnp.full(p.shape, slot, p.dtype)

            return jax.tree_util.tree_map_with_path(one, params)

        filled_slots = {name: filled(slot) for name, slot in every.items()}
        rate = jnp.asarray(learning_rate, float) if schedule is None else ()
        scale = () if loss_scale_factor is None else jnp.float32(loss_scale_factor)
        return OptimizerState(jnp.int32(0), filled_slots, rate, scale)

    def update(
        updates: PyTree, state: Any, params: PyTree | None = None
    ) -> tuple[PyTree, OptimizerState]:
        if needs_params and params is None:
            raise ValueError(
                "this optimizer needs the parameters, for weight decay, averaging or "
                "its own step: call tx.update(grads, state, params)."
            )
        named, structure = jax.tree_util.tree_flatten_with_path(updates)
        paths = [_name(path) for path, _ in named]
        grads = [g for _, g in named]
        if not isinstance(state.loss_scale, tuple):
            grads = [g / state.loss_scale.astype(g.dtype) for g in grads]
        before: list[Any] = (
            [None] * len(grads) if params is None else jax.tree.leaves(params)
        )
        kept = {name: jax.tree.leaves(tree) for name, tree in state.slots.items()}
        rate = state.learning_rate if schedule is None else schedule(state.iterations)
        applies = (state.iterations + 1) % several == 0
        sums = grads
        if several > 1:
            pairs = zip(grads, kept["gradient_accumulator"], strict=True)
            sums = [g + total for g, total in pairs]
        iterations = state.iterations // several
        changes, new = [], {name: [] for name in every}
        means = sums if several == 1 else [total / several for total in sums]
        for place, g in enumerate(clip(means)):
            # Compute with the rate and the step in the precision of the gradient.
            old, p = {name: kept[name][place] for name in own}, before[place]
            now = Now(
                jnp.asarray(rate, g.dtype),
                (iterations + 1).astype(g.dtype),
                p,
                paths[place],
            )
            decay: Any = weight_decay
            if callable(decay):
                decay = decay(now.path, p)
            if decay is not None:
                now = now._replace(param=p - p * decay * now.rate)
            change, found = rule(g, old, now)
            if decay is not None:
                change = change - p * decay * now.rate
            if several > 1:
                keep = lambda a, b: jnp.where(applies, a, b)
                change = jnp.where(applies, change, jnp.zeros_like(change))
                found = {name: keep(found[name], old[name]) for name in own}
                total = sums[place]
                found["gradient_accumulator"] = keep(jnp.zeros_like(total), total)
            if use_ema:
                part = jnp.where(iterations == 0, 0, ema_momentum).astype(p.dtype)
                last = kept["average"][place]
                average = part * last + (1 - part) * (p + change)
                found["average"] = average
                if ema_overwrite_frequency is not None:
                    due = (iterations + 1) % ema_overwrite_frequency == 0
                    change = jnp.where(due, average - p, change)
            changes.append(change)
            for name in every:
                new[name].append(found[name])
        after = {name: structure.unflatten(leaves) for name, leaves in new.items()}
        done = state._replace(iterations=state.iterations + 1, slots=after)
        return structure.unflatten(changes), done

    return optax.GradientTransformation(init, update)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _schedule(learning_rate: LearningRate) -> optax.Schedule | None:
    """Return a learning rate as a function of the step; None for a Python number."""
    if callable(learning_rate):
        return learning_rate
    return (
        None if is_concrete(learning_rate) else optax.constant_schedule(learning_rate)
    )


def _clip(
    clipnorm: Number | None, global_clipnorm: Number | None, clipvalue: Number | None
) -> Callable[[list[Array]], list[Array]]:
    """Return a function that clips the gradients of all parameters."""
    given = {
        "clipnorm": clipnorm,
        "global_clipnorm": global_clipnorm,
        "clipvalue": clipvalue,
    }
    require_number("[0, inf) or None", **given)
    given = {name: limit for name, limit in given.items() if limit is not None}
    if len(given) > 1:
        raise ValueError(
            f"{' and '.join(given)} cannot be combined: choose one of them."
        )

    def shrink(g: Array, norm: Float[Array, ""], limit: Any) -> Array:
        return g * limit / jnp.maximum(norm, limit)

    if is_on(clipnorm):
        norm = lambda g: jnp.sqrt(jnp.sum(g**2))
        return lambda grads: [shrink(g, norm(g), clipnorm) for g in grads]
    if is_on(global_clipnorm):

        def together(grads: list[Array]) -> list[Array]:
            norm = optax.tree.norm(grads)  # once, not for each gradient
            return [shrink(g, norm, global_clipnorm) for g in grads]

        return together
    if clipvalue is not None and is_on(clipvalue):
        return lambda grads: [jnp.clip(g, -clipvalue, clipvalue) for g in grads]
    return lambda grads: grads
