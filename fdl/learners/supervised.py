"""Supervised learning, from inputs and targets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array, Number, PyTree, Seed, unit_scale
from fdl.learner import Learner, State
from fdl.learners.checks import check_examples, check_inputs
from fdl.learners.descent import Optimizer, descend, start, update_of
from fdl.learners.modules import Applied, apply, apply_in_training
from fdl.learners.parts import require_metrics, require_parts, require_scaled
from fdl.learners.targets import Answer, answers, examples, meaning, takes_weights
from fdl.metrics import Mean, Metrics, mean
from fdl.metrics import Metric as IsMetric
from fdl.ranges import require_number

Loss = Callable[[Any, Any], Float[Array, "*batch"]]
Metric = Callable[..., Any]


def _unit_scale(inputs: PyTree) -> PyTree:
    return jax.tree.map(unit_scale, inputs)


def supervised(
    model: Any,
    loss: Loss,
    optimizer: Optimizer,
    *,
    metrics: Mapping[str, Metric] | None = None,
    answer: Answer | None = None,
    preprocess: Callable[[PyTree], PyTree] = _unit_scale,
    project: Callable[[PyTree], PyTree] | None = None,
    loss_weights: Sequence[Number] | None = None,
) -> Learner:
    """Return a learner that minimizes a mean loss (Robbins & Monro, 1951).

    A batch is `(inputs, targets)` or `(inputs, targets, weights)`, or a dictionary or
    named tuple with these names. An array of inputs is the model's only argument; a
    tuple of inputs is passed by position, a dictionary by name. Targets are any pytree
    that the loss accepts. Weights, at least 0, are one number for each example, or for
    each token if the loss returns one number per token; they may be a boolean mask. The
    mean loss is `sum(weights * losses) / sum(weights)`. An example of weight 0 has no
    influence on it, even if its target is -100 or its loss NaN.

    Values that the model sows into the collection `losses`, such as weight penalties or
    losses of auxiliary heads, are added to the mean loss, and to the metric `loss`, as
    in Keras.

    Args:
        model: A Linen module. If its `__call__` has an argument `train`, `training`,
            `is_training`, `deterministic` or `use_running_average`, it is set according
            to the mode. The model may have collections such as `batch_stats`, and use
            the random key `dropout`, or any other.
        loss: `(outputs, targets) -> losses`, one for each example or token, such as
            those in `fdl.losses`.
        optimizer: Any optax gradient transformation.
        metrics: Metrics besides the loss, by name: functions
            `(outputs, targets, weights) -> sums`, such as those in `fdl.metrics`. None
            for the default of the loss: `accuracy` for cross entropies.
        answer: What `predict` returns: `"probabilities"`, by softmax or, for binary
            cross entropies, the logistic function; `"logits"` or `"values"`, the
            model's outputs as they are; or a function of them. None for the default of
            the loss: probabilities for cross entropies, else the outputs.
        preprocess: Function of inputs, applied on the device; by default, it scales
            8-bit pixels to [0, 1].
        project: `params -> params`, applied after each update, such as a limit on norms
            or `fdl.keras.constraints.constrain`.
        loss_weights: For a model that in training returns a tuple of outputs for the
            same targets, the main one first, then those of auxiliary heads: the weight
            of each output's loss, at least 0. Metrics and the measured loss are those
            of the first output. None for a model with one output.

    Returns:
        A learner with the metric `loss` and those given.

    Raises:
        ValueError: If `answer` is unknown, a metric is called `loss`, the model is not
            a Linen module, the loss not a function, or the optimizer not an optimizer;
            in a step, if there are not as many outputs as `loss_weights`.

    Example:
        >>> import fdl, optax
        >>> learner = supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> batch = fdl.Batch(jnp.ones((8, 28, 28, 1)), jnp.arange(8))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> int(state.step), sorted(measured)
        (1, ['accuracy', 'loss'])
    """
    require_parts(model, loss, optimizer)
    for weight in loss_weights or ():
        require_number("[0, inf)", loss_weights=weight)
    implied = meaning(loss)
    if metrics is None:
        metrics = implied.metrics
    require_metrics(metrics)
    measures = dict(metrics)
    if "loss" in measures:
        raise ValueError(
            "metrics contain 'loss', which is always measured: rename this metric."
        )
    answer_of = answers(answer, implied)
    update = update_of(optimizer)

    def measure(applied: Applied, targets: PyTree, weights: Any, losses: Array) -> Any:
        outputs = applied.outputs

        def one(metric: Metric) -> Any:
            if takes_weights(metric):
                return metric(outputs, targets, weights=weights)
            if weights is None:
                return metric(outputs, targets)
            raise ValueError(
                f"the data have weights, but the metric {metric} has no argument "
                "`weights`: add it."
            )

        total, weight = mean(losses, weights)
        others = {name: one(metric) for name, metric in measures.items()}
        for name, value in others.items():
            if not isinstance(value, IsMetric):
                is_array = isinstance(value, Array)
                found = "an array" if is_array else f"a {type(value).__name__}"
                raise ValueError(
                    f"the metric {name!r} returns {found}, which cannot "
                    "be averaged over batches: return "
                    "fdl.metrics.mean(values, weights), or another pytree of sums with "
                    "a method compute."
                )
        return {"loss": Mean(total + applied.penalty * weight, weight), **others}

    def init(key: Seed, batch: PyTree) -> State:
        one = jax.tree.map(lambda x: x[:1], examples(batch).inputs)
        try:
            return start(model, optimizer, key, preprocess(one))
        except Exception as error:
            if any(x.dtype == jnp.uint8 for x in jax.tree.leaves(one)):
                error.add_note(
                    "preprocess scales inputs of type uint8 to [0, 1] by default, as "
                    "pixels: pass tokens as int32, or preprocess=lambda x: x."
                )
            raise

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        inputs, targets, weights = examples(batch)
        key = jax.random.fold_in(state.key, state.step)

        def mean_loss(params: PyTree) -> tuple[Array, Any]:
            applied = apply_in_training(
                model, params, state.model_state, preprocess(inputs), key
            )
            outputs = _counted(applied.outputs, weights)
            if loss_weights is None:
                losses = loss(outputs, targets)
                total = _weighted_mean(losses, weights)
            else:
                _require_outputs(outputs, loss_weights)
                each = [loss(output, targets) for output in outputs]
                means = jnp.stack([_weighted_mean(one, weights) for one in each])
                total = jnp.dot(jnp.asarray(loss_weights, means.dtype), means)
                applied, losses = applied._replace(outputs=outputs[0]), each[0]
            return total + applied.penalty, (applied, losses)

        params, opt_state, _, (applied, losses) = descend(
            state.params, state.opt_state, mean_loss, update
        )
        state = state._replace(
            step=state.step + 1,
            params=params if project is None else project(params),
            opt_state=opt_state,
            model_state=applied.model_state,
        )
        return state, measure(applied, targets, weights, losses)

    def apply_to(state: State, inputs: PyTree) -> Applied:
        return apply(model, state.params, state.model_state, preprocess(inputs))

    def evaluate(state: State, batch: PyTree) -> Metrics:
        inputs, targets, weights = examples(batch)
        applied = apply_to(state, inputs)
        return measure(applied, targets, weights, loss(applied.outputs, targets))

    def predict(state: State, inputs: PyTree) -> PyTree:
        check_inputs(model, preprocess, state, inputs)
        return answer_of(apply_to(state, inputs).outputs)

    def check(state: State, data: PyTree) -> None:
        if preprocess is _unit_scale:
            require_scaled(examples(data).inputs)
        check_examples(model, loss, preprocess, apply_to, state, examples(data))

    return Learner(init, step, evaluate, predict, check)


def _require_outputs(outputs: Any, weights: Sequence[Number]) -> None:
    if not isinstance(outputs, tuple) or len(outputs) != len(weights):
        is_tuple = isinstance(outputs, tuple)
        found = f"a tuple of {len(outputs)}" if is_tuple else "one, not a tuple"
        raise ValueError(
            f"loss_weights={tuple(weights)} must have a weight for each output, but in "
            f"training the outputs of the model are {found}."
        )


def _counted(outputs: PyTree, weights: Any) -> PyTree:
    """Stop gradients to outputs of weight 0: 0 times that of a NaN loss is NaN."""
    if weights is None:
        return outputs

    def cut(x: Array) -> Array:
        if x.shape[: weights.ndim] != weights.shape:
            return x
        axes = tuple(range(weights.ndim, x.ndim))
        return jnp.where(jnp.expand_dims(weights != 0, axes), x, lax.stop_gradient(x))

    return jax.tree.map(cut, outputs)


def _weighted_mean(losses: Array, weights: Any) -> Array:
    if weights is None:
        return jnp.mean(losses)
    total, weight = mean(losses, weights)
    # A batch of only padding has the loss 0, and no gradient.
    return total / jnp.where(weight == 0, 1, weight)
