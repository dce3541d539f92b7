"""Checks of what a learner is made of, where something else was given."""

from typing import Any

import numpy as np

from fdl import losses
from fdl.arrays import DataError, PyTree

_LOOKED_AT = 1000  # images


def require_parts(model: Any, loss: Any, optimizer: Any) -> None:
    """Raise ValueError unless these are a module, a function and an optimizer.

    Example:
        >>> import fdl, optax
        >>> require_parts(fdl.models.MLP, fdl.losses.cross_entropy, optax.sgd(0.1))
        Traceback (most recent call last):
        ...
        ValueError: model=MLP is a class: make a module of it, as MLP(...) does.
    """
    is_class = isinstance(model, type)
    kind = model if is_class else type(model)
    if any(parent.__module__ == "flax.nnx.module" for parent in kind.__mro__):
        raise ValueError(
            f"model is of the NNX class {kind.__name__}: give "
            f"flax.nnx.bridge.ToLinen({kind.__name__}, ...), a Linen module, instead."
        )
    if is_class:
        name = model.__name__
        raise ValueError(
            f"model={name} is a class: make a module of it, as {name}(...) does."
        )
    if not (callable(getattr(model, "init", None)) and hasattr(model, "apply")):
        raise ValueError(
            f"model is a {kind.__name__}, without init and apply: give a Linen module."
        )
    if not callable(loss):
        known = isinstance(loss, str) and hasattr(losses, loss)
        remedy = f"fdl.losses.{loss}" if known else "one of fdl.losses, or your own"
        raise ValueError(f"loss={loss!r} is no function: give {remedy}.")
    if not callable(getattr(optimizer, "update", None)):
        raise ValueError(
            f"optimizer={optimizer!r} is no optimizer: give one of optax or fdl.keras, "
            "such as optax.adam(1e-3)."
        )


def require_scaled(inputs: PyTree) -> None:
    """Raise DataError for images with bytes in floating point, which train badly.

    Args:
        inputs: Inputs of a learner that scales 8-bit pixels alone.
    """
    if (
        not hasattr(inputs, "ndim")
        or inputs.ndim != 4
        or inputs.shape[-1] not in (1, 3)
    ):
        return
    if not np.issubdtype(inputs.dtype, np.floating):
        return
    x = np.asarray(inputs[:_LOOKED_AT])
    if x.size and x.min() >= 0 and 1 < x.max() <= 255 and not np.mod(x, 1).any():
        raise DataError(
            f"inputs are {x.dtype} images with whole numbers up to {x.max():g}, which "
            "are not scaled to [0, 1]: divide them by 255, or give uint8; or with "
            "preprocess=lambda x: x they are left to the model as they are."
        )
