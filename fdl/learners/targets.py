"""Parts of a batch, and the kinds of targets and answers that a loss implies."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax

from fdl import losses, metrics
from fdl.arrays import Array, DataError, PyTree

Answer = str | Callable[[Any], Any]
"""How `predict` transforms outputs: to `"probabilities"`, not at all (`"logits"` or
`"values"`), or by any function."""

Kind = Literal["classes", "probabilities", "shares", "values"]
"""Kinds of targets: classes from 0, one for each row of logits; distributions over the
classes; numbers in [0, 1]; any numbers."""


class Examples(NamedTuple):
    """The parts of a batch.

    Attributes:
        inputs: Arguments of the model.
        targets: Targets of the loss and the metrics.
        weights: Weight of each example or token; None for equal weights.
    """

    inputs: PyTree
    targets: PyTree
    weights: Any


def examples(batch: PyTree) -> Examples:
    """Split a batch into inputs, targets and weights.

    A batch is `(inputs, targets)` or `(inputs, targets, weights)`, or a dictionary or
    named tuple with these names. A named tuple with other names counts as a tuple.

    Raises:
        DataError: If it is none of these.

    Example:
        >>> examples((1, 2)), examples({"inputs": 1, "targets": 2}).targets
        (Examples(inputs=1, targets=2, weights=None), 2)
    """
    found = _split(batch)
    for name in ("inputs", "targets"):
        if getattr(found, name) is None:
            raise DataError(f"the data have None for {name}: pass arrays.")
    return found


def _split(batch: PyTree) -> Examples:
    names = getattr(batch, "_fields", ())
    if "inputs" in names and "targets" in names:
        batch = batch._asdict()
    if isinstance(batch, Mapping) and {"inputs", "targets"} <= batch.keys():
        unknown = sorted(batch.keys() - set(Examples._fields))
        if unknown:
            raise DataError(
                f"the data contain {unknown[0]!r} besides inputs and targets, but the "
                "model sees only inputs: move it into inputs, or leave it out."
            )
        return Examples(batch["inputs"], batch["targets"], batch.get("weights"))
    if isinstance(batch, tuple) and len(batch) in (2, 3):
        return Examples(*batch, *(None,) * (3 - len(batch)))
    what = f"a {type(batch).__name__}"
    if isinstance(batch, Array):
        what = "one array"
    elif isinstance(batch, tuple):
        what = f"a tuple of {len(batch)}"
    raise DataError(
        f"the data are {what}: pass (inputs, targets), (inputs, targets, weights), or "
        "a dictionary or named tuple with these names."
    )


def inputs_of(batch: PyTree) -> Any:
    """Return the inputs of an unsupervised learner: `inputs`, or the first array.

    Example:
        >>> inputs_of(("images", "labels")), inputs_of("images")
        ('images', 'images')
    """
    if hasattr(batch, "inputs"):
        return batch.inputs
    if isinstance(batch, Mapping):
        if "inputs" not in batch:
            raise DataError(
                f"the data are a dictionary of {', '.join(map(repr, batch))}: it must "
                "have the key 'inputs'."
            )
        return batch["inputs"]
    return batch[0] if isinstance(batch, tuple) else batch


class Meaning(NamedTuple):
    """What a loss implies about a model's outputs.

    Attributes:
        kind: Kind of targets; None for a loss that is not from fdl.
        answer: Function from outputs to answers.
        probabilities: Function from outputs to probabilities; None if the loss does not
            imply one.
        metrics: Default metrics besides the loss.
        ignored: Class that does not count; None if there is none.
    """

    kind: Kind | None
    answer: Callable[[Any], Any]
    probabilities: Callable[[Any], Any] | None
    metrics: Mapping[str, Callable[..., Any]]
    ignored: int | None = None


def _as_they_are(outputs: Any) -> Any:
    return outputs


_CLASSES: dict[Callable[..., Any], Kind] = {
    losses.cross_entropy: "classes",
    losses.sparse_categorical_crossentropy: "classes",
    losses.categorical_crossentropy: "probabilities",
    losses.categorical_focal_crossentropy: "probabilities",
}
_BINARY = (losses.binary_crossentropy, losses.binary_focal_crossentropy)


def meaning(loss: Callable[..., Any]) -> Meaning:
    """Return what a loss implies; for an unknown loss, outputs are answers.

    Example:
        >>> meaning(losses.cross_entropy).kind
        'classes'
        >>> meaning(lambda outputs, targets: abs(outputs - targets)).kind is None
        True
    """
    from_logits, ignored = True, None
    while isinstance(loss, functools.partial):
        from_logits = loss.keywords.get("from_logits", from_logits)
        ignored = loss.keywords.get("ignore_class", ignored)
        loss = loss.func
    if loss in _CLASSES:
        answer = jax.nn.softmax if from_logits else _as_they_are
        measures = {"accuracy": metrics.accuracy}
        return Meaning(_CLASSES[loss], answer, answer, measures, ignored)
    if loss in _BINARY:
        answer = jax.nn.sigmoid if from_logits else _as_they_are
        measure = functools.partial(metrics.binary_accuracy, from_logits=from_logits)
        return Meaning("shares", answer, answer, {"accuracy": measure})
    known = str(getattr(loss, "__module__", "")).startswith(losses.__name__)
    return Meaning("values" if known else None, _as_they_are, None, {})


def answers(answer: Answer | None, implied: Meaning) -> Callable[[Any], Any]:
    """Return the function from outputs to answers.

    Raises:
        ValueError: If the name is unknown.
    """
    if answer is None:
        return implied.answer
    if callable(answer):
        return answer
    named = {
        "probabilities": implied.probabilities or _softmax,
        "logits": _as_they_are,
        "values": _as_they_are,
    }
    if answer not in named:
        raise ValueError(
            f"answer={answer!r} must be one of {', '.join(named)}, or a function."
        )
    return named[answer]


def _softmax(outputs: Any) -> Any:
    shape = outputs.shape
    if len(shape) < 2 or shape[-1] < 2:
        raise ValueError(
            f"answer='probabilities' needs an axis of classes, but outputs have shape "
            f"{shape}: use answer=jax.nn.sigmoid for the probability of one class, or "
            "answer='values'."
        )
    return jax.nn.softmax(outputs)


def takes_weights(metric: Callable[..., Any]) -> bool:
    """Return whether a metric has an argument `weights`.

    Example:
        >>> takes_weights(metrics.accuracy), takes_weights(lambda outputs, targets: 0)
        (True, False)
    """
    return "weights" in inspect.signature(metric).parameters
