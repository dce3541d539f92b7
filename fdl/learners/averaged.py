"""Evaluation with a moving average of the parameters."""

import jax
import jax.numpy as jnp

from fdl.arrays import Number, PyTree, Seed
from fdl.learner import Learner, State
from fdl.metrics import Metrics
from fdl.ranges import require_number


def averaged(learner: Learner, decay: Number) -> Learner:
    """Return a learner that predicts with an average of its parameters (Polyak, 1992).

    After update `t`, from 0, the average moves by `1 - min(decay, t / (t + 10))` of the
    way to the parameters, so that their initial values are soon forgotten. Training
    continues with the parameters; `evaluate` and `predict` use the average, which is in
    `State.extra["ema"]`. Other collections of the model, such as running statistics,
    are not averaged, as in Keras.

    Args:
        learner: Any learner of one member.
        decay: Fraction of the average kept in an update, in (0, 1), such as 0.999.

    Raises:
        ValueError: If `decay` is out of range.

    Example:
        >>> import fdl, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> learner = averaged(learner, 0.999)
        >>> batch = fdl.Batch(jnp.ones((8, 28, 28, 1)), jnp.arange(8))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, _ = jax.jit(learner.step)(state, batch)
        >>> sorted(state.extra["ema"])
        ['dense1', 'head']
    """
    require_number("(0, 1)", decay=decay)
    draw, update, measure, answer = learner[:4]

    def init(key: Seed, batch: PyTree) -> State:
        state = draw(key, batch)
        average = jax.tree.map(jnp.copy, state.params)
        return state._replace(extra={**state.extra, "ema": average})

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        new, measured = update(state, batch)
        kept = jnp.minimum(decay, state.step / (state.step + 10))
        average = jax.tree.map(
            lambda old, now: now + (old - now) * kept.astype(now.dtype),
            state.extra["ema"],
            new.params,
        )
        return new._replace(extra={**new.extra, "ema": average}), measured

    def settled(state: State) -> State:
        return state._replace(params=state.extra["ema"])

    made = learner._replace(
        init=init,
        step=step,
        evaluate=lambda state, batch: measure(settled(state), batch),
        predict=lambda state, inputs: answer(settled(state), inputs),
    )
    tune = learner.tune
    if tune is None:
        return made
    return made._replace(tune=lambda hparams: averaged(tune(hparams), decay))
