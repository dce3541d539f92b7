"""Calling a Linen module, whatever its arguments and collections."""

import functools
import inspect
from typing import Any, NamedTuple

import jax

from fdl.arrays import Array, Key, PyTree

_PENALTIES = "losses"  # a collection that modules sow into, not one that they keep


def draw_variables(
    model: Any, key: Key, inputs: PyTree
) -> tuple[PyTree, dict[str, PyTree]]:
    """Draw a model's variables; return its parameters and its other collections.

    Example:
        >>> import fdl, jax.numpy as jnp
        >>> images = jnp.ones((1, 28, 28, 1))
        >>> params, kept = draw_variables(fdl.models.MLP(10), jax.random.key(0), images)
        >>> sorted(params), kept
        (['dense1', 'head'], {})
    """
    args, kwargs = arguments(inputs)
    keys: Any = key
    if _is_nnx(model):  # which takes keys of any other name from `default`
        keys = {"params": key, "default": jax.random.fold_in(key, 1)}
    variables = model.init(keys, *args, **kwargs, **mode(model, train=False))
    kept = {
        name: value
        for name, value in variables.items()
        if name not in ("params", _PENALTIES)
    }
    return variables.get("params", {}), kept


class Applied(NamedTuple):
    """What a model returns, and what else it says.

    Attributes:
        outputs: Its outputs.
        model_state: Its collections as it leaves them.
        penalty: The sum of what it sowed into `losses`; 0.0 if nothing.
    """

    outputs: PyTree
    model_state: dict[str, PyTree]
    penalty: Array | float


def apply_in_training(
    model: Any, params: PyTree, model_state: dict[str, PyTree], inputs: PyTree, key: Key
) -> Applied:
    """Apply a model in training mode; it may draw and change its collections."""
    args, kwargs = arguments(inputs)
    outputs, changed = model.apply(
        {"params": params, **model_state},
        *args,
        **kwargs,
        **mode(model, train=True),
        # Flax draws from `params` where a module asks for a key of another name.
        rngs={"dropout": key, "params": jax.random.fold_in(key, 1)},
        mutable=[*model_state, _PENALTIES],
    )
    kept = {name: changed.get(name, value) for name, value in model_state.items()}
    return Applied(outputs, kept, _sum(changed.get(_PENALTIES, {})))


def apply(model: Any, params: PyTree, model_state: dict, inputs: PyTree) -> Applied:
    """Apply a model as it is used after training."""
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
    """Return the arguments that inputs stand for: a tuple by position, a dict by name.

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
    """Return the argument that tells a module whether it is being trained, if any.

    A module of NNX inside `flax.nnx.bridge.ToLinen` is also told by its method `train`
    or `eval`, as all that it consists of.

    Example:
        >>> import fdl
        >>> mode(fdl.models.MLP(10), train=True)
        {'train': True}
    """
    if _is_nnx(model):
        return {"nnx_method": functools.partial(_call_nnx, train=train)}
    return _told(model, train)


def _is_nnx(model: Any) -> bool:
    return hasattr(model, "nnx_class")  # flax.nnx.bridge.ToLinen


def _told(model: Any, train: bool) -> dict[str, bool]:
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
    return module(*args, **kwargs, **_told(module, train))
