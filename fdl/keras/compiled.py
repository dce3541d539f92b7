"""The arguments of `model.compile` as plain data, with the optimizer and its state."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax
from flax.core import FrozenDict

from fdl.arrays import PyTree
from fdl.keras.compiled_optimizer import make_optimizer
from fdl.keras.constraints import constrain
from fdl.keras.graph.description import Graph, Options, Ref, freeze
from fdl.keras.graph.model import KerasModel
from fdl.keras.layers import snake_case
from fdl.untrusted import reason, require_shallow, shortened
from fdl.weights import WeightsError

_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "bce": "binary_crossentropy",
    "ce": "crossentropy",
    "acc": "accuracy",
}
_CLASSES = {"Accuracy": "exact_accuracy", "LogCoshError": "log_cosh"}
"""Classes that differ from the function of the same name in snake case."""
_IDLE = ("name", "dtype", "fn")


class Described(NamedTuple):
    """A loss or a metric.

    Attributes:
        name: Its name in Keras, such as `mean_squared_error`.
        options: Its options in the file.
    """

    name: str
    options: Options = FrozenDict()


class Compiled(NamedTuple):
    """The arguments of `model.compile`.

    Attributes:
        optimizer: The optimizer.
        opt_state: State of the optimizer; None if the model was never trained.
        outputs: Names of the outputs, in the order of the model.
        losses: The loss of each output that has one.
        loss_weights: Factors of these losses, where they were given.
        metrics: The metrics of each output.
        project: `params -> params` that applies the constraints, to be called after
            each update; None if there are none.
    """

    optimizer: optax.GradientTransformation
    opt_state: PyTree | None
    outputs: tuple[str, ...]
    losses: Mapping[str, Described]
    loss_weights: Mapping[str, float]
    metrics: Mapping[str, tuple[Described, ...]]
    project: Callable[[PyTree], PyTree] | None = None


def read_compiled(config: Any, model: KerasModel) -> Compiled:
    """Read how a model is compiled, without the state of the optimizer.

    Args:
        config: `compile_config` of a `.keras` file, or `training_config` of a `.h5`.
        model: The model.

    Raises:
        WeightsError: If something is not supported; the message names it.
    """
    try:
        require_shallow(config)
        names = output_names(model.graph)
        kind = "optimizer" if "optimizer" in config else "optimizer_config"
        losses = _per_output(config.get("loss"), names, "loss")
        weights = _per_output(config.get("loss_weights"), names, "loss_weights")
        metrics: dict[str, tuple[Described, ...]] = {}
        for option in ("metrics", "weighted_metrics"):
            for name, found in _per_output(config.get(option), names, option).items():
                several = found if isinstance(found, list) else [found]
                more = (_described(each, option) for each in several if each)
                metrics[name] = (*metrics.get(name, ()), *more)
        constraints = model.constraints
        return Compiled(
            make_optimizer(config[kind]),
            None,
            names,
            {k: _described(each, "loss") for k, each in losses.items() if each},
            {k: _number(each) for k, each in weights.items() if each is not None},
            metrics,
            constrain(constraints) if constraints else None,
        )
    except WeightsError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as why:
        raise WeightsError(
            f"the model is compiled in a way that is not supported: {reason(why)}."
        ) from why


def output_names(graph: Graph) -> tuple[str, ...]:
    """Return the names of the outputs: the keys of a dictionary, or their layers."""
    if isinstance(graph.outputs, FrozenDict):
        return tuple(map(str, graph.outputs))
    refs = (graph.outputs,) if isinstance(graph.outputs, Ref) else graph.outputs
    return tuple(
        graph.layers[graph.calls[ref.call].layer].name
        if isinstance(ref, Ref)
        else str(number)
        for number, ref in enumerate(refs)
    )


def _per_output(value: Any, names: tuple[str, ...], option: str) -> dict[str, Any]:
    """Return the value of an option for each output."""
    if value is None:
        return {}
    if isinstance(value, dict) and "class_name" not in value:
        unknown = [name for name in value if name not in names]
        if unknown:
            raise ValueError(
                f"{option} is given for {shortened(unknown[0])!r}, but the outputs are "
                f"{', '.join(names)}"
            )
        return value
    if isinstance(value, list) and len(names) == 1 and option.endswith("metrics"):
        if len(value) == 1 and isinstance(value[0], list):
            (value,) = value  # Keras 2
        return {names[0]: value}
    if isinstance(value, list):
        if len(value) != len(names):
            raise ValueError(
                f"{option} has {len(value)} values, but the model has {len(names)} "
                "outputs"
            )
        return dict(zip(names, value, strict=True))
    return dict.fromkeys(names, value)


def _described(value: Any, option: str) -> Described:
    options: Any = {}
    if isinstance(value, dict):
        name, options = value["class_name"], value["config"]
        module = str(value.get("module") or "keras")
        if name == "function":
            name, options = options, {}
        elif name in ("MeanMetricWrapper", "LossFunctionWrapper"):
            name = options["fn"]
            name = name["config"] if isinstance(name, dict) else name
        elif not module.startswith("keras") or ">" in str(name):
            raise ValueError(
                f"{option} has {shortened(str(name))!r}, a custom class: leave "
                "compiled=True out, and use fdl.learners.supervised"
            )
        else:
            name = _CLASSES.get(name, name)
    else:
        name = value
    if not isinstance(name, str) or not isinstance(options, dict):
        raise ValueError(f"{option} has {shortened(repr(value))}")
    name = name if name.islower() else snake_case(name)
    options = {key: each for key, each in options.items() if key not in _IDLE}
    return Described(_SHORT.get(name, name), freeze(options))


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"loss_weights has {shortened(repr(value))}")
    return float(value)
