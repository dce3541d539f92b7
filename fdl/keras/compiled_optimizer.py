"""Rebuild the optimizer of a file from its config, and restore its state."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fdl.arrays import PyTree
from fdl.keras import optimizers, schedules
from fdl.keras.optimizers.loss_scale import LossScaleState
from fdl.keras.rules import Shared
from fdl.untrusted import shortened
from fdl.weights import WeightsError, describe

_OPTIMIZERS = {
    name: getattr(optimizers, name.lower())
    for name in """SGD RMSprop Adam AdamW Adagrad Adadelta Adamax Nadam Ftrl Lion Lamb
    Adafactor Muon ScheduleFreeAdamW""".split()
}
_SCHEDULES = {
    "ExponentialDecay": schedules.exponential_decay,
    "InverseTimeDecay": schedules.inverse_time_decay,
    "PolynomialDecay": schedules.polynomial_decay,
    "PiecewiseConstantDecay": schedules.piecewise_constant_decay,
    "CosineDecay": schedules.cosine_decay,
    "CosineDecayRestarts": schedules.cosine_decay_restarts,
}
_IDLE = ("name", "jit_compile", "is_legacy_optimizer", "dynamic")
_NOT_OF_SCALED = (*Shared.__annotations__, "weight_decay", "learning_rate")
_FLAGS = """use_ema nesterov centered amsgrad relative_step staircase cycle
exclude_embeddings""".split()
_TOGETHER = (
    *(("momentum", "velocity"), ("momentum", "norm"), ("accumulator", "linear")),
    *(("accumulated_grad", "accumulated_delta_var"), ("r", "c", "velocity")),
)
"""Slots that Keras interleaves: all of them for one parameter, then for the next."""


def make_optimizer(config: Any) -> optax.GradientTransformation:
    """Return the optimizer that a file describes.

    Raises:
        ValueError: If it is not supported.
    """
    name, given = config["class_name"], config["config"]
    name = str(name).rpartition(">")[2]
    if name == "LossScaleOptimizer":
        inner = make_optimizer(given["inner_optimizer"])
        known = ("initial_scale", "dynamic_growth_steps")
        for option, value in given.items():
            if option in _NOT_OF_SCALED and value not in (None, False, 0.0, 0.99):
                raise ValueError(f"{name} does not support {option}={value!r}")
        return optimizers.loss_scaled(
            inner, **{key: _checked(key, given[key]) for key in known if key in given}
        )
    if "decay" in given or given.get("is_legacy_optimizer"):
        raise ValueError(
            f"{name} is an optimizer of Keras before 2.11, whose updates differ: "
            "leave compiled=True out, and pass fdl.learners.supervised an optimizer "
            "of fdl.keras"
        )
    if name == "MultiOptimizer":
        raise ValueError(
            f"{name} assigns optimizers to patterns of names, which fdl does not "
            "import: leave compiled=True out, and pass fdl.learners.supervised an "
            "optax.partition of optimizers of fdl.keras"
        )
    if name not in _OPTIMIZERS:
        raise ValueError(
            f"the optimizer is {shortened(name)!r}; fdl supports "
            f"{', '.join(_OPTIMIZERS)}"
        )
    options = {key: _checked(key, each) for key, each in given.items()}
    options = {key: each for key, each in options.items() if key not in _IDLE}
    rate = options.get("learning_rate")
    if isinstance(rate, dict):
        kind, rate = rate["class_name"], rate["config"]
        if kind not in _SCHEDULES:
            raise ValueError(
                f"the learning rate is a {shortened(str(kind))!r}; fdl supports "
                f"{', '.join(_SCHEDULES)}"
            )
        rate = {key: _checked(key, each) for key, each in rate.items()}
        rate.pop("name", None)
        options["learning_rate"] = _SCHEDULES[kind](**rate)
    return _OPTIMIZERS[name](**options)


def read_state(
    state: Any,
    params: PyTree,
    trained: Sequence[tuple[str, ...]],
    arrays: Sequence[np.ndarray],
    where: str,
    *,
    keras2: bool = False,
) -> PyTree | None:
    """Return the state of an optimizer from the arrays that Keras stored.

    Args:
        state: The initial state of the optimizer.
        params: The parameters.
        trained: Paths of the trainable parameters, in Keras' order.
        arrays: The arrays, in Keras' order.
        where: Name of the file in messages.
        keras2: Whether Keras 2 wrote them, which does not store the learning rate.

    Returns:
        The state; None if the model was never trained.

    Raises:
        WeightsError: If the arrays do not fit the optimizer.
    """
    rest = list(arrays)
    if isinstance(state, LossScaleState):
        if len(rest) < 4:
            return None
        _, _, count, scale, *rest = rest
        inner = read_state(
            state.inner_state, params, trained, rest, where, keras2=keras2
        )
        count = jnp.int32(_fitting(count, np.zeros(()), "step_counter", where))
        scale = jnp.float32(_fitting(scale, np.zeros(()), "dynamic_scale", where))
        inner = state.inner_state if inner is None else inner
        return LossScaleState(count, scale, inner)
    has_rate = not keras2 and not isinstance(state.learning_rate, tuple)
    if len(rest) <= 1 + has_rate:  # never trained
        return None
    iterations = _fitting(rest.pop(0), np.zeros(()), "iteration", where)
    if has_rate:
        rate = _fitting(rest.pop(0), np.zeros(()), "learning_rate", where)
        dtype = np.asarray(state.learning_rate).dtype
        state = state._replace(learning_rate=rate.astype(dtype))
    flat = {
        name: {_path(path): leaf for path, leaf in _leaves(tree)}
        for name, tree in state.slots.items()
    }
    if keras2 and "u_product" in flat:
        raise WeightsError(
            f"{where} has a Nadam of Keras 2, which does not store everything that its "
            "next step needs: leave compiled=True out."
        )
    shapes = {_path(path): np.shape(leaf) for path, leaf in _leaves(params)}
    for name, path in _order(list(flat), trained):
        old = flat[name][path]
        if name == "velocity" and np.shape(old) != shapes[path]:
            continue  # a matrix that Muon trains has no velocity
        if not rest:
            raise WeightsError(
                f"{where} lacks the optimizer's {name} of {'/'.join(path)}."
            )
        flat[name][path] = _fitting(rest.pop(0), old, f"{name} of {path[-1]}", where)
    if "u_product" in flat and rest:
        product = _fitting(rest.pop(0), np.zeros(()), "u_product", where)
        kept = flat["u_product"]
        flat["u_product"] = {p: product.astype(kept[p].dtype) for p in kept}
    if rest:
        raise WeightsError(
            f"{where} has more arrays than its optimizer needs: {len(rest)} too many."
        )
    slots = {name: _filled(tree, flat[name]) for name, tree in state.slots.items()}
    return state._replace(iterations=np.int32(iterations), slots=slots)


def _order(
    names: list[str], trained: Sequence[tuple[str, ...]]
) -> list[tuple[str, tuple[str, ...]]]:
    """Return the slot and the parameter of each of Keras' arrays, in Keras' order."""
    common = [name for name in ("average", "gradient_accumulator") if name in names]
    own = [name for name in names if name not in (*common, "u_product")]
    groups: list[tuple[str, ...]] = [(name,) for name in common]
    for group in _TOGETHER:
        if tuple(own[: len(group)]) == group:
            groups.append(group)
            own = own[len(group) :]
    return [
        (name, path)
        for group in (*groups, *((name,) for name in own))
        for path in trained
        for name in group
    ]


def _fitting(found: np.ndarray, wanted: Any, name: str, where: str) -> np.ndarray:
    wanted = np.asarray(wanted)
    if found.shape != wanted.shape:
        raise WeightsError(
            f"{where} has the optimizer's {name} as {describe(found)}, but the model "
            f"needs the shape {list(wanted.shape)}."
        )
    return found


def _filled(tree: PyTree, found: Mapping[tuple[str, ...], Any]) -> PyTree:
    return jax.tree_util.tree_map_with_path(lambda path, _: found[_path(path)], tree)


def _leaves(tree: PyTree) -> Any:
    return jax.tree_util.tree_leaves_with_path(tree)


def _path(path: Any) -> tuple[str, ...]:
    return tuple(key.key for key in path)


def _checked(name: str, value: Any) -> Any:
    """Return the value of an option in the type that our optimizers take.

    Raises:
        ValueError: If it is of another type.
    """
    if name in _FLAGS and type(value) is not bool:
        raise ValueError(f"{name}={value!r} must be True or False")
    if name == "exclude_layers":
        words = value if isinstance(value, list) else [None]
        if not all(isinstance(w, str) and re.fullmatch(r"[\w/]+", w) for w in words):
            raise ValueError(f"{name}={value!r} must be a list of plain words")
    if name.endswith(("_steps", "_frequency")):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value
    return float(value) if type(value) is int else value
