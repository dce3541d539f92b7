"""Calls of a Linen module, with its arguments and collections."""

import functools
import inspect
from typing import Any, NamedTuple

import jax

from fdl.arrays import Array, Key, PyTree

_PENALTIES = "losses"  # a collection that modules sow into; not part of the state


def draw_variables(
    model: Any, key: Key, inputs: PyTree
) -> tuple[PyTree, dict[str, PyTree]]:
    """Initialize a model; return its parameters and its other collections.

    Example:
        >>> import fdl, jax.numpy as jnp
        >>> images = jnp.ones((1, 28, 28, 1))
        >>> params, kept = draw_variables(fdl.models.MLP(10), jax.random.key(0), images)
        >>> sorted(params), kept
        (['dense1', 'head'], {})
    """
    args, kwargs = arguments(inputs)
    keys: Any = key
    if _is_nnx(model):  # NNX uses the key `default` for all other names
        keys = {"params": key, "default": jax.random.fold_in(key, 1)}
    variables = model.init(keys, *args, **kwargs, **mode(model, train=False))
    kept = {
        name: value
        for name, value in variables.items()
        if name not in ("params", _PENALTIES)
    }
    return variables.get("params", {}), kept


class Applied(NamedTuple):
    """Outputs of a model, and its side effects.

    Attributes:
        outputs: The outputs.
        model_state: The updated collections.
        penalty: Sum of the values sown into `losses`; 0.0 if there are none.
    """

    outputs: PyTree
    model_state: dict[str, PyTree]
    penalty: Array | float


def apply_in_training(
    model: Any, params: PyTree, model_state: dict[str, PyTree], inputs: PyTree, key: Key
) -> Applied:
    """Apply a model in training mode: with random keys and updates of collections."""
    args, kwargs = arguments(inputs)
    outputs, changed = model.apply(
        {"params": params, **model_state},
        *args,
        **kwargs,
        **mode(model, train=True),
        # Flax falls back to `params` if a module asks for a key of another name.
        rngs={"dropout": key, "params": jax.random.fold_in(key, 1)},
        mutable=[*model_state, _PENALTIES],
    )
    kept = {name: changed.get(name, value) for name, value in model_state.items()}
    return Applied(outputs, kept, _sum(changed.get(_PENALTIES, {})))


def apply(model: Any, params: PyTree, model_state: dict, inputs: PyTree) -> Applied:
    """Apply a model in evaluation mode."""
    args, kwargs = arguments(inputs)
    outputs, changed = model.apply(
        {"params": params, **model_state},
        *args,
        **kwargs,
        **mode(model, train=False),
        mutable=[_PENALTIES],
    )
    return Applied(outputs, model_state, _sum(changed.get(_PENALTIES, {})))


def _sum(sown: PyTree) -> Array | float:
    return sum((term.sum() for term in jax.tree.leaves(sown)), start=0.0)


def arguments(inputs: PyTree) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return inputs as arguments: a tuple by position, a dictionary by name.

    Example:
        >>> arguments((1, 2)), arguments({"x": 1}), arguments(3)
        (((1, 2), {}), ((), {'x': 1}), ((3,), {}))
    """
    if isinstance(inputs, tuple):
        return tuple(inputs), {}
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs,), {}


def mode(model: Any, *, train: bool) -> dict[str, Any]:
    """Return the argument that switches a module to training or evaluation, if any.

    For an NNX module inside `flax.nnx.bridge.ToLinen`, its method `train` or `eval` is
    also called, which sets the mode of all its submodules.

    Example:
        >>> import fdl
        >>> mode(fdl.models.MLP(10), train=True)
        {'train': True}
    """
    if _is_nnx(model):
        return {"nnx_method": functools.partial(_call_nnx, train=train)}
    return _flag(model, train)


def _is_nnx(model: Any) -> bool:
    return hasattr(model, "nnx_class")  # flax.nnx.bridge.ToLinen


def _flag(model: Any, train: bool) -> dict[str, bool]:
    call = getattr(model, "__call__", None)  # noqa: B004 - for its signature
    names = inspect.signature(call).parameters if call else ()
    for name, value in (
        ("train", train),
        ("training", train),
        ("is_training", train),
        ("deterministic", not train),
        ("use_running_average", not train),
    ):
        if name in names:
            return {name: value}
    return {}


def _call_nnx(module: Any, *args: Any, train: bool, **kwargs: Any) -> Any:
    module.train() if train else module.eval()
    return module(*args, **kwargs, **_flag(module, train))
