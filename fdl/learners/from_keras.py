"""A learner of what `model.compile` was told in Keras."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl import losses, metrics
from fdl.arrays import Array, PyTree, Seed, as_key
from fdl.learner import Learner, State
from fdl.learners.frozen import frozen
from fdl.learners.supervised import supervised

_LOSSES = """mean_squared_error mean_absolute_error mean_absolute_percentage_error
mean_squared_logarithmic_error huber log_cosh poisson kl_divergence cosine_similarity
hinge squared_hinge categorical_hinge binary_crossentropy categorical_crossentropy
sparse_categorical_crossentropy binary_focal_crossentropy
categorical_focal_crossentropy""".split()
_METRICS = {
    "binary_accuracy": metrics.binary_accuracy,
    "categorical_accuracy": metrics.accuracy,
    "sparse_categorical_accuracy": metrics.accuracy,
    "top_k_categorical_accuracy": metrics.top_k_accuracy,
    "sparse_top_k_categorical_accuracy": metrics.top_k_accuracy,
    "root_mean_squared_error": metrics.root_mean_squared_error,
    "r2_score": metrics.r2_score,
}
_SAME = {"axis": (-1,), "reduction": ("sum_over_batch_size", "auto")}
"""Values of options of Keras' that change nothing here."""


class _Described(NamedTuple):
    name: str
    options: Mapping[str, Any]


def from_keras(
    model: Any,
    variables: PyTree,
    compiled: Any,
    key: Seed = 0,
    *,
    loss: Callable[[Any, Any], Float[Array, "*batch"]] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> tuple[Learner, State]:
    """Make a learner that goes on with the training of a Keras model.

    Targets are those of Keras: an array, or one for each output, in a tuple or in a
    dictionary by the names of the outputs. Inputs are passed on as they are. A mean
    loss with weights is divided by their sum; by their number in Keras.

    Args:
        model: From `fdl.keras.import_model`.
        variables: Likewise.
        compiled: Likewise, with `compiled=True`.
        key: Random key of the training, for dropout.
        loss: Another loss, for a loss of Keras' that fdl does not have.
        metrics: Other metrics, by name.

    Returns:
        The learner, and the state from which to go on.

    Raises:
        ValueError: Names a loss, a metric or an option that fdl does not have.

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
        >>> state, _ = learner.step(state, (jnp.ones((4, 2)), jnp.ones(4)))
        >>> int(state.step)
        1
    """
    learner = supervised(
        model,
        _loss(compiled) if loss is None else loss,
        compiled.optimizer,
        metrics=_metrics(compiled) if metrics is None else metrics,
        answer="values",
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


def _loss(compiled: Any) -> Callable[[Any, Any], Any]:
    if not compiled.losses:
        raise ValueError("the model is compiled without a loss: pass loss=.")
    found = {
        name: _function("loss", described)
        for name, described in compiled.losses.items()
    }
    weights = {name: compiled.loss_weights.get(name, 1.0) for name in found}

    def loss(outputs: Any, targets: Any) -> Array:
        outputs, targets = (
            _by_name(each, compiled.outputs) for each in (outputs, targets)
        )
        total: Any = 0.0
        for name, one in found.items():
            if name not in targets:
                raise ValueError(f"there is no target for the output {name}.")
            each = one(outputs[name], targets[name])
            if len(compiled.outputs) > 1:  # as many losses as examples of each
                each = each.mean(tuple(range(1, each.ndim)))
            total = total + weights[name] * each
        return total

    return loss


def _metrics(compiled: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    several = len(compiled.outputs) > 1
    for output, measures in compiled.metrics.items():
        for described in measures:
            name = f"{output}_{described.name}" if several else described.name
            found[name] = _metric(described, output, compiled.outputs)
    return found


def _metric(described: Any, output: str, names: tuple[str, ...]) -> Callable[..., Any]:
    name = described.name
    if name == "accuracy" or name in _METRICS:
        one = _function("metric", described)
    else:
        loss = _function("metric", described)
        one = lambda y, t, weights: metrics.mean(loss(y, t), weights)

    def metric(outputs: Any, targets: Any, weights: Any = None) -> Any:
        outputs, targets = (_by_name(each, names) for each in (outputs, targets))
        return one(outputs[output], targets[output], weights)

    return metric


def _function(kind: str, described: Any) -> Callable[..., Any]:
    """Return a function of outputs and targets, or raise ValueError."""
    name, options = described.name, dict(described.options)
    for option, values in _SAME.items():
        if options.get(option, values[0]) not in values:
            raise ValueError(_complaint(kind, name, option, options[option]))
        options.pop(option, None)
    if name == "crossentropy":
        return lambda y, t: _function(kind, _Described(_kind_of(y, t), options))(y, t)
    if name == "accuracy":
        accuracies = {
            "binary": lambda y, t, w: metrics.binary_accuracy(
                y, t, w, from_logits=False
            ),
            "other": metrics.accuracy,
        }

        def accuracy(y: Array, t: Array, weights: Any) -> Any:
            which = "binary" if y.shape[-1] == 1 else "other"
            return accuracies[which](y, _of_rank(y, t, which != "binary"), weights)

        return accuracy
    known = _METRICS if kind == "metric" else {}
    function = known.get(name) or (getattr(losses, name) if name in _LOSSES else None)
    if function is None:
        raise ValueError(
            f"fdl does not have the {kind} {name!r} of the compiled model: pass "
            f"{'loss' if kind == 'loss' else 'metrics'}=."
        )
    parameters = inspect.signature(function).parameters
    if "from_logits" in parameters:
        options.setdefault("from_logits", False)
    for option, value in options.items():
        if option not in parameters:
            raise ValueError(_complaint(kind, name, option, value))
    is_sparse = "sparse" in name
    if name in _METRICS:
        return lambda y, t, w: function(y, _of_rank(y, t, is_sparse), w, **options)
    return lambda y, t: function(y, _of_rank(y, t, is_sparse), **options)


def _complaint(kind: str, name: str, option: str, value: Any) -> str:
    return (
        f"fdl does not have {option}={value!r} of the {kind} {name!r}: pass "
        f"{'loss' if kind == 'loss' else 'metrics'}=."
    )


def _kind_of(outputs: Array, targets: Array) -> str:
    """Return which cross entropy Keras chooses for outputs and targets."""
    if outputs.shape[-1] == 1:
        return "binary_crossentropy"
    is_sparse = targets.ndim < outputs.ndim or targets.shape[-1] == 1
    return (
        "sparse_categorical_crossentropy" if is_sparse else "categorical_crossentropy"
    )


def _of_rank(outputs: Array, targets: Array, is_sparse: bool) -> Array:
    """Add or drop a last axis of targets, as Keras does."""
    targets = jnp.asarray(targets)
    if is_sparse and targets.ndim == outputs.ndim and targets.shape[-1] == 1:
        return targets[..., 0]
    if not is_sparse and targets.ndim == outputs.ndim - 1 and outputs.shape[-1] == 1:
        return targets[..., None]
    return targets


def _by_name(tree: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(tree, Mapping):
        return dict(tree)
    parts = tree if isinstance(tree, tuple | list) else (tree,)
    if len(parts) != len(names):
        raise ValueError(
            f"there are {len(parts)} outputs or targets, but the model has "
            f"{', '.join(names)}."
        )
    return dict(zip(names, parts, strict=True))
