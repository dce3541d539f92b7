"""Learning from labelled examples."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float

from fdl.arrays import Array, Key, PyTree, unit_scale
from fdl.learner import Learner, State
from fdl.learners.descent import descend, start
from fdl.metrics import Mean, Metrics, accuracy, mean

Loss = Callable[[Any, Any], Float[Array, "*batch"]]
Metric = Callable[[Any, Any], Mean]


def supervised(
    model: Any,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    metrics: Mapping[str, Metric] = MappingProxyType({"accuracy": accuracy}),
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Make a learner of a classifier: gradient descent on the mean loss of a batch.

    Args:
        model: A Linen module that returns logits, called as `model(inputs,
            train=...)`. It may keep `batch_stats` and draw from the key `dropout`.
        loss: `(logits, label) -> losses`, one for each example.
        optimizer: Any optax gradient transformation.
        metrics: Measures besides the loss, `(logits, label) -> Mean`, by name.
        preprocess: What is done to inputs, on the device; by default, 8-bit pixels
            become numbers in [0, 1].

    Returns:
        A learner whose batches are pairs `(inputs, label)`, whose metrics are `loss`
        and those asked for, and whose predictions are class probabilities.

    Example:
        >>> import fdl
        >>> learner = supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> batch = fdl.Batch(jnp.ones((8, 28, 28, 1)), jnp.arange(8))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = learner.step(state, batch)
        >>> int(state.step), sorted(measured)
        (1, ['accuracy', 'loss'])
    """

    def measure(logits: Array, losses: Array, label: Array) -> Metrics:
        others = {name: metric(logits, label) for name, metric in metrics.items()}
        return {"loss": mean(losses), **others}

    def init(key: Key, batch: PyTree) -> State:
        return start(model, optimizer, key, preprocess(batch[0][:1]))

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        inputs, label = batch

        def mean_loss(params: PyTree) -> tuple[Array, tuple[Array, Array, PyTree]]:
            logits, updated = model.apply(
                {"params": params, "batch_stats": state.batch_stats},
                preprocess(inputs),
                train=True,
                rngs={"dropout": jax.random.fold_in(state.key, state.step)},
                mutable=["batch_stats"],
            )
            losses = loss(logits, label)
            return jnp.mean(losses), (logits, losses, updated.get("batch_stats", {}))

        state, _, (logits, losses, batch_stats) = descend(state, mean_loss, optimizer)
        state = state._replace(batch_stats=batch_stats)
        return state, measure(logits, losses, label)

    def logits_of(state: State, inputs: PyTree) -> Array:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        return model.apply(variables, preprocess(inputs), train=False)

    def evaluate(state: State, batch: PyTree) -> Metrics:
        inputs, label = batch
        logits = logits_of(state, inputs)
        return measure(logits, loss(logits, label), label)

    def predict(state: State, inputs: PyTree) -> Array:
        return jax.nn.softmax(logits_of(state, inputs))

    return Learner(init, step, evaluate, predict)
