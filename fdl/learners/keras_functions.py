"""Losses and metrics of a compiled Keras model, looked up in fdl by name."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from fdl import losses, metrics
from fdl.arrays import Array

_LOSSES = """mean_squared_error mean_absolute_error mean_absolute_percentage_error
mean_squared_logarithmic_error huber log_cosh poisson kl_divergence cosine_similarity
hinge squared_hinge categorical_hinge binary_crossentropy categorical_crossentropy
sparse_categorical_crossentropy binary_focal_crossentropy
categorical_focal_crossentropy categorical_generalized_cross_entropy dice tversky circle
ctc""".split()
_OF_INTEGERS = ("circle", "ctc", "categorical_generalized_cross_entropy")
_SAME = {
    "axis": (-1,),
    "reduction": ("sum_over_batch_size", "auto", "mean", "mean_with_sample_weight"),
    **dict.fromkeys(("top_k", "class_id", "num_labels", "label_weights"), (None,)),
    "curve": ("ROC",),
    "summation_method": ("interpolation",),
    "multi_label": (False,),
    "ignore_class": (None,),
    "sparse_y_pred": (False,),
}
"""Values of Keras' options that have no effect here, the default first."""


class Metric(NamedTuple):
    """A Keras metric.

    Attributes:
        function: Function of outputs, targets and weights that returns sums.
        sees_masks: Whether masked steps of sequences are left out.
        is_sparse: Whether targets are integers.
    """

    function: Callable[..., Any]
    sees_masks: bool = True
    is_sparse: bool = False


def _equal(outputs: Array, targets: Array, weights: Any = None) -> metrics.Mean:
    return metrics.mean(outputs == targets, weights)


def _cosine(outputs: Array, targets: Array, weights: Any = None) -> metrics.Mean:
    """Return the similarity; Keras' loss of this name is its negative."""
    return metrics.mean(-losses.cosine_similarity(outputs, targets), weights)


def _at_threshold(function: Callable[..., Any]) -> Callable[..., Any]:
    def metric(
        outputs: Array, targets: Array, weights: Any = None, *, thresholds: Any = None
    ) -> Any:
        each = thresholds if isinstance(thresholds, tuple | list) else (thresholds,)
        if len(each) != 1:
            raise ValueError(
                f"fdl does not support metrics with several thresholds, {each}: "
                f"{_remedy('metric')}."
            )
        at = 0.5 if each[0] is None else each[0]
        return function(outputs, targets, weights, threshold=at, from_logits=False)

    return metric


def _f1(
    outputs: Array,
    targets: Array,
    weights: Any = None,
    *,
    average: str | None = None,
    threshold: float | None = None,
) -> Any:
    if threshold is None or average not in (None, "micro"):
        raise ValueError(
            f"fdl does not support an F1 score with threshold={threshold!r} and "
            f"average={average!r}: {_remedy('metric')}."
        )
    return metrics.f1_score(
        outputs,
        targets,
        weights,
        threshold=threshold,
        from_logits=False,
        per_class=average is None,
    )


def _iou(
    outputs: Array,
    targets: Array,
    weights: Any = None,
    *,
    num_classes: int | None = None,
) -> Any:
    if num_classes != outputs.shape[-1]:
        raise ValueError(
            f"num_classes={num_classes!r} of a metric must be the number of outputs, "
            f"{outputs.shape[-1]}."
        )
    return metrics.iou(outputs, targets, weights)


_METRICS = {
    "exact_accuracy": Metric(_equal),
    "binary_accuracy": Metric(metrics.binary_accuracy),
    "categorical_accuracy": Metric(metrics.accuracy),
    "sparse_categorical_accuracy": Metric(metrics.accuracy, is_sparse=True),
    "top_k_categorical_accuracy": Metric(metrics.top_k_accuracy),
    "sparse_top_k_categorical_accuracy": Metric(metrics.top_k_accuracy, is_sparse=True),
    "cosine_similarity": Metric(_cosine),
    "root_mean_squared_error": Metric(metrics.root_mean_squared_error, False),
    "r2_score": Metric(metrics.r2_score, False),
    "auc": Metric(metrics.auc, False),
    "precision": Metric(_at_threshold(metrics.precision), False),
    "recall": Metric(_at_threshold(metrics.recall), False),
    "f1_score": Metric(_f1, False),
    "one_hot_mean_io_u": Metric(_iou, False),
}


def loss_of(described: Any) -> Callable[[Array, Array], Array]:
    """Return a loss function, with one loss per example or step.

    Raises:
        ValueError: If fdl does not have the loss or one of its options.

    Example:
        >>> from types import SimpleNamespace as Described
        >>> loss = loss_of(Described(name="dice", options={"axis": None}))
        >>> [round(float(x), 2) for x in loss(jnp.ones((2, 3)), jnp.eye(2, 3))]
        [0.5, 0.5]
    """
    name = described.name
    if name == "crossentropy":
        return lambda y, t: loss_of(_as(_kind_of(y, t), described))(y, t)
    if name not in _LOSSES:
        raise ValueError(_unknown("loss", name))
    function = getattr(losses, name)
    options = _options("loss", described, function)
    is_sparse = name in _OF_INTEGERS or "sparse" in name

    def loss(outputs: Array, targets: Array) -> Array:
        found = function(outputs, of_rank(outputs, targets, is_sparse), **options)
        if name == "circle":  # Keras averages over the nonzero losses
            counted = jnp.sum(found > 0)
            return found * (found.size / jnp.maximum(counted, 1))
        if name in ("dice", "tversky") and _mixes(options.get("axis"), outputs.ndim):
            return jnp.broadcast_to(found.mean(), outputs.shape[:1])
        return found

    return loss


def metric_of(described: Any) -> Metric:
    """Return a metric.

    Raises:
        ValueError: If fdl does not have the metric or one of its options.

    Example:
        >>> from types import SimpleNamespace as Described
        >>> found = metric_of(Described(name="recall", options={"thresholds": 0.25}))
        >>> y, t = jnp.array([[0.3], [0.1]]), jnp.array([1, 1])
        >>> float(found.function(y, t, None).compute())
        0.5
    """
    name = described.name
    if name == "accuracy":
        return Metric(_accuracy)
    if name not in _METRICS:
        if name != "crossentropy" and name not in _LOSSES:
            raise ValueError(_unknown("metric", name))
        loss = loss_of(described)
        return Metric(lambda y, t, weights: metrics.mean(loss(y, t), weights))
    known = _METRICS[name]
    function = functools.partial(
        known.function, **_options("metric", described, known.function)
    )
    return known._replace(
        function=lambda y, t, w: function(y, of_rank(y, t, known.is_sparse), w)
    )


def _accuracy(outputs: Array, targets: Array, weights: Any) -> Any:
    """Return the accuracy that Keras chooses for outputs and targets."""
    if outputs.shape[-1] == 1:
        targets = of_rank(outputs, targets, False)
        return metrics.binary_accuracy(outputs, targets, weights, from_logits=False)
    return metrics.accuracy(outputs, of_rank(outputs, targets, True), weights)


def _options(kind: str, described: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """Return the options that a function accepts; raise ValueError for others."""
    parameters = inspect.signature(function).parameters
    options = dict(described.options)
    for option, value in described.options.items():
        if option in parameters:
            continue
        if value not in _SAME.get(option, ()):
            raise ValueError(
                f"fdl does not support {option}={value!r} of the {kind} "
                f"{described.name!r}: {_remedy(kind)}."
            )
        del options[option]
    if "from_logits" in parameters:
        options.setdefault("from_logits", False)
    return options


def _as(name: str, described: Any) -> Any:
    return type(described)(name=name, options=described.options)


def _unknown(kind: str, name: str) -> str:
    return (
        f"fdl does not have the {kind} {name!r} of the compiled model: {_remedy(kind)}."
    )


def _remedy(kind: str) -> str:
    return f"pass {'loss' if kind == 'loss' else 'metrics'}="


def _mixes(axis: Any, ndim: int) -> bool:
    """Return whether a sum over axes includes the axis of examples."""
    axes = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return any(each % ndim == 0 for each in axes)


def _kind_of(outputs: Array, targets: Array) -> str:
    """Return which cross entropy Keras chooses for outputs and targets."""
    if outputs.shape[-1] == 1:
        return "binary_crossentropy"
    is_sparse = targets.ndim < outputs.ndim or targets.shape[-1] == 1
    return (
        "sparse_categorical_crossentropy" if is_sparse else "categorical_crossentropy"
    )


def of_rank(outputs: Array, targets: Array, is_sparse: bool) -> Array:
    """Add or drop a last axis of targets, as Keras does.

    Example:
        >>> of_rank(jnp.ones((2, 1)), jnp.ones(2), False).shape
        (2, 1)
    """
    targets = jnp.asarray(targets)
    if is_sparse and targets.ndim == outputs.ndim and targets.shape[-1] == 1:
        return targets[..., 0]
    if not is_sparse and targets.ndim == outputs.ndim - 1 and outputs.shape[-1] == 1:
        return targets[..., None]
    return targets
