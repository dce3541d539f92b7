"""Calls of a Linen module, with its arguments and collections."""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from fdl.arrays import Array, DataError, Key, PyTree

_PENALTIES = "losses"  # a collection that modules sow into; not part of the state

_REMEDIES = {
    "InvalidRngError": "A model has random keys in training only: give its "
    "__call__ an argument `train`, and draw only if it is True.",
    "ModifyScopeVariableError": "In evaluation, collections do not change: update "
    "them only where self.is_mutable_collection(name).",
    "ScopeParamNotFoundError": "Parameters are created by a call with train=False: "
    "also call what only training needs if self.is_initializing().",
}
"""What to change in a model that raises one of Flax's errors, by its name."""


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
    keys: Any = key
    if _is_nnx(model):  # NNX uses the key `default` for all other names
        keys = {"params": key, "default": jax.random.fold_in(key, 1)}
    args, kwargs = arguments(model, inputs, train=False)
    with _explained(inputs):
        variables = model.init(keys, *args, **kwargs)
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
        sown: The values sown into `losses`.
    """

    outputs: PyTree
    model_state: dict[str, PyTree]
    sown: PyTree

    @property
    def penalty(self) -> Array | float:
        """Sum of the values sown into `losses`; 0.0 if there are none."""
        return sum((term.sum() for term in jax.tree.leaves(self.sown)), start=0.0)


def apply_in_training(
    model: Any, params: PyTree, model_state: dict[str, PyTree], inputs: PyTree, key: Key
) -> Applied:
    """Apply a model in training mode: with random keys and updates of collections."""
    args, kwargs = arguments(model, inputs, train=True)
    with _explained(inputs):
        outputs, changed = model.apply(
            {"params": params, **model_state},
            *args,
            **kwargs,
            # Flax falls back to `params` if a module asks for a key of another name.
            rngs={"dropout": key, "params": jax.random.fold_in(key, 1)},
            mutable=[*model_state, _PENALTIES],
        )
    kept = {name: changed.get(name, value) for name, value in model_state.items()}
    return Applied(outputs, kept, changed.get(_PENALTIES, {}))


def apply(model: Any, params: PyTree, model_state: dict, inputs: PyTree) -> Applied:
    """Apply a model in evaluation mode."""
    args, kwargs = arguments(model, inputs, train=False)
    with _explained(inputs):
        outputs, changed = model.apply(
            {"params": params, **model_state}, *args, **kwargs, mutable=[_PENALTIES]
        )
    return Applied(outputs, model_state, changed.get(_PENALTIES, {}))


@contextlib.contextmanager
def _explained(inputs: PyTree) -> Iterator[None]:
    """Add the inputs, and the remedy for some of Flax's errors, to what is raised."""
    try:
        yield
    except Exception as error:
        shapes = jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}", inputs)
        error.add_note(f"The model was applied to inputs of {shapes}.")
        if isinstance(inputs, list):
            error.add_note("A list is one argument: pass several as a tuple.")
        if remedy := _REMEDIES.get(type(error).__name__):
            error.add_note(remedy)
        raise


def arguments(
    model: Any, inputs: PyTree, *, train: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a model: its inputs, and whether it is in training.

    A tuple of inputs is passed by position, a dictionary by name, all else alone.

    Raises:
        DataError: If the model does not take them.

    Example:
        >>> import fdl
        >>> arguments(fdl.models.MLP(10), "images", train=True)
        (('images',), {'train': True})
    """
    args, kwargs = (inputs,), {}
    if isinstance(inputs, tuple):
        args = tuple(inputs)
    elif isinstance(inputs, dict):
        args, kwargs = (), inputs
    flag = mode(model, train=train)
    call = getattr(model, "__call__", None)  # noqa: B004 - for its signature
    if call is None:
        return args, kwargs | flag
    try:
        # By position where possible: `nn.remat` and `nn.jit` have static arguments by
        # position only.
        bound = inspect.signature(call).bind(*args, **(kwargs | flag))
    except TypeError as error:
        own = [name for name in inspect.signature(call).parameters if name not in flag]
        named = getattr(inputs, "_fields", None)
        alone = f" Or pass {named[0]} alone." if named else ""
        raise DataError(
            f"the inputs do not fit {type(model).__name__}.__call__({', '.join(own)}): "
            f"{error}. Inputs are passed by position if they are a tuple, by name if "
            "they are a dictionary; (inputs,) passes either as one argument." + alone
        ) from error
    return bound.args, bound.kwargs


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
