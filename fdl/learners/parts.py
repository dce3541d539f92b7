"""Checks that a learner's arguments are a module, a loss and an optimizer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl import losses
from fdl.arrays import DataError, PyTree

_CHECKED = 1000  # images


def require_parts(model: Any, loss: Any, optimizer: Any) -> None:
    """Raise ValueError unless these are a module, a function and an optimizer.

    Example:
        >>> import fdl, optax
        >>> require_parts(fdl.models.MLP, fdl.losses.cross_entropy, optax.sgd(0.1))
        Traceback (most recent call last):
        ...
        ValueError: model=MLP is a class: pass an instance, such as MLP(...).
    """
    is_class = isinstance(model, type)
    kind = model if is_class else type(model)
    if any(parent.__module__ == "flax.nnx.module" for parent in kind.__mro__):
        raise ValueError(
            f"model is of the NNX class {kind.__name__}: pass the Linen module "
            f"flax.nnx.bridge.ToLinen({kind.__name__}, ...) instead."
        )
    if is_class:
        name = model.__name__
        raise ValueError(
            f"model={name} is a class: pass an instance, such as {name}(...)."
        )
    if not (callable(getattr(model, "init", None)) and hasattr(model, "apply")):
        raise ValueError(
            f"model is a {kind.__name__}, without init and apply: pass a Linen module."
        )
    if not callable(loss):
        known = isinstance(loss, str) and hasattr(losses, loss)
        remedy = f"fdl.losses.{loss}" if known else "one of fdl.losses, or your own"
        raise ValueError(f"loss={loss!r} is not a function: pass {remedy}.")
    if not callable(getattr(optimizer, "update", None)):
        raise ValueError(
            f"optimizer={optimizer!r} is not an optimizer: pass one from optax or "
            "fdl.keras, such as optax.adam(1e-3)."
        )


def require_metrics(metrics: Any) -> None:
    """Raise ValueError unless these are functions by name.

    Example:
        >>> import fdl
        >>> require_metrics({"mae": fdl.metrics.mean_absolute_error})
    """
    if not isinstance(metrics, Mapping) or not all(map(callable, metrics.values())):
        raise ValueError(
            f"metrics={metrics!r} must be a dictionary of functions by name, such as "
            '{"mae": fdl.metrics.mean_absolute_error}.'
        )


def require_scaled(inputs: PyTree) -> None:
    """Raise DataError for images from 0 to 255 that are not uint8: they train badly.

    Args:
        inputs: Inputs of a learner that scales only 8-bit pixels.
    """
    if (
        not hasattr(inputs, "ndim")
        or inputs.ndim != 4
        or inputs.shape[-1] not in (1, 3)
    ):
        return
    if inputs.dtype == np.uint8 or inputs.dtype.kind not in "iuf":
        return
    x = np.asarray(inputs[:_CHECKED])
    if x.size and x.min() >= 0 and 1 < x.max() <= 255 and not np.mod(x, 1).any():
        raise DataError(
            f"inputs are {x.dtype} images with whole numbers up to {x.max():g}, which "
            "are not scaled to [0, 1]: divide them by 255, pass uint8, or use "
            "preprocess=lambda x: x to pass them to the model unchanged."
        )
