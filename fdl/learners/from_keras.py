"""A learner from the arguments of Keras' `model.compile`."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array, PyTree, Seed, as_key
from fdl.learner import Learner, State
from fdl.learners.frozen import frozen
from fdl.learners.keras_functions import Metric, loss_of, metric_of
from fdl.learners.supervised import supervised
from fdl.learners.targets import takes_weights
from fdl.metrics.sums import spread


def from_keras(
    model: Any,
    variables: PyTree,
    compiled: Any,
    key: Seed = 0,
    *,
    loss: Callable[[Any, Any], Float[Array, "*batch"]] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> tuple[Learner, State]:
    """Return a learner that resumes the training of a Keras model.

    Targets are those of Keras: an array, or one for each output, in a tuple or in a
    dictionary by the names of the outputs. Inputs are passed on unchanged. As in Keras,
    steps masked in an output do not count. With weights, a mean loss is divided by
    their sum; Keras divides by their number.

    Args:
        model: Model from `fdl.keras.import_model`.
        variables: Likewise.
        compiled: Likewise, with `compiled=True`.
        key: Random key of the training, for dropout, or a seed.
        loss: Loss to use instead, if fdl does not have Keras'.
        metrics: Metrics to use instead, by name.

    Returns:
        The learner, and the state from which to resume.

    Raises:
        ValueError: If fdl does not have a loss, a metric or one of their options.

    Example:
        >>> from types import SimpleNamespace as Stand  # in for a file
        >>> import fdl, optax
        >>> from fdl.keras.graph.read import read_model
        >>> layers = [
        ...     {"class_name": "InputLayer", "config": {"batch_shape": [None, 2]}},
        ...     {"class_name": "Dense", "config": {"name": "head", "units": 1}},
        ... ]
        >>> config = {"name": "net", "layers": layers}
        >>> described = {"class_name": "Sequential", "config": config}
        >>> model = fdl.keras.KerasModel(read_model(described))
        >>> mse = Stand(name="mean_squared_error", options={})
        >>> compiled = Stand(
        ...     optimizer=optax.sgd(0.1), opt_state=None, outputs=("head",),
        ...     losses={"head": mse}, loss_weights={}, metrics={}, project=None,
        ... )
        >>> variables = model.init(as_key(0), jnp.ones((4, 2)))
        >>> learner, state = from_keras(model, variables, compiled)
        >>> state, _ = jax.jit(learner.step)(state, (jnp.ones((4, 2)), jnp.ones(4)))
        >>> int(state.step)
        1
    """
    learner = supervised(
        model.clone(returns_masks=True),
        _loss(compiled, loss),
        compiled.optimizer,
        metrics=_metrics(compiled, metrics),
        answer=_outputs,
        preprocess=_as_is,
        project=compiled.project,
    )
    if model.frozen:
        learner = frozen(learner, model.frozen)
    variables = jax.tree.map(jnp.asarray, variables)
    params = variables["params"]
    opt_state = compiled.opt_state
    state = State(
        step=jnp.int32(0),
        params=params,
        key=as_key(key),
        opt_state=compiled.optimizer.init(params)
        if opt_state is None
        else jax.tree.map(jnp.asarray, opt_state),
        model_state={k: v for k, v in variables.items() if k != "params"},
    )
    return learner, state


def _as_is(inputs: PyTree) -> PyTree:
    return inputs


def _loss(compiled: Any, given: Any) -> Callable[[Any, Any], Any]:
    """Return the loss of outputs and their masks."""
    if given is not None:

        def of_all(found: Any, targets: Any) -> Array:
            outputs, masks = found
            losses = given(outputs, targets)
            one = _only(masks)
            return losses if one is None else _masked(losses, one)

        return of_all
    if not compiled.losses:
        raise ValueError("the model was compiled without a loss: pass loss=.")
    each = {name: loss_of(described) for name, described in compiled.losses.items()}
    weights = {name: compiled.loss_weights.get(name, 1.0) for name in each}

    def loss(found: Any, targets: Any) -> Array:
        outputs, masks, targets = (
            _by_name(part, compiled.outputs) for part in (*found, targets)
        )
        total: Any = 0.0
        for name, one in each.items():
            if name not in targets:
                raise ValueError(f"the output {name} has no target: pass one.")
            losses = one(outputs[name], targets[name])
            if masks[name] is not None:
                losses = _masked(losses, masks[name])
            if len(compiled.outputs) > 1:  # one loss per example for each output
                losses = losses.mean(tuple(range(1, losses.ndim)))
            total = total + weights[name] * losses
        return total

    return loss


def _masked(losses: Array, mask: Array) -> Array:
    """Return losses whose mean is the mean over real steps."""
    real = _like(losses, mask)
    scale = real.size / jnp.maximum(jnp.sum(real), 1)
    return jnp.where(real, losses, 0) * scale


def _like(losses: Array, mask: Array) -> Array:
    if mask.ndim == losses.ndim + 1 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.shape != losses.shape:
        raise ValueError(
            f"the mask of an output has shape {mask.shape}, but its losses have "
            f"{losses.shape}: they must have the same shape, as in Keras."
        )
    return mask


def _metrics(compiled: Any, given: Any) -> dict[str, Any]:
    if given is not None:
        return {name: _of_outputs(metric) for name, metric in given.items()}
    found: dict[str, Any] = {}
    several = len(compiled.outputs) > 1
    for output, measures in compiled.metrics.items():
        for described in measures:
            name = f"{output}_{described.name}" if several else described.name
            found[name] = _metric(metric_of(described), output, compiled.outputs)
    return found


def _of_outputs(metric: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a user's metric, which does not see masks."""
    if takes_weights(metric):
        return lambda found, targets, weights: metric(
            found[0], targets, weights=weights
        )
    return lambda found, targets: metric(found[0], targets)


def _metric(metric: Metric, output: str, names: tuple[str, ...]) -> Callable[..., Any]:
    def measured(found: Any, targets: Any, weights: Any = None) -> Any:
        outputs, masks, targets = (_by_name(part, names) for part in (*found, targets))
        mask = masks[output]
        if metric.sees_masks and mask is not None:
            weights = mask if weights is None else mask * spread(weights, mask.shape)
        return metric.function(outputs[output], targets[output], weights)

    return measured


def _only(masks: Any) -> Array | None:
    """Return the mask of a single output, if it has one."""
    found = jax.tree.leaves(masks)
    return found[0] if len(found) == 1 else None


def _outputs(found: Any) -> Any:
    return found[0]


def _by_name(tree: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(tree, Mapping):
        return dict(tree)
    parts = tree if isinstance(tree, tuple | list) else (tree,)
    if len(parts) != len(names):
        raise ValueError(
            f"there are {len(parts)} outputs or targets, but the model has the outputs "
            f"{', '.join(names)}: pass one for each."
        )
    return dict(zip(names, parts, strict=True))
