"""Optimizers of a run, by name: those of Keras where it has them, else optax's."""

from collections.abc import Callable
from typing import Any

import optax

from fdl import keras
from fdl.arrays import is_on
from fdl.data import DatasetInfo
from fdl.learners.descent import Optimizer
from fdl.tasks.choices import OPTIMIZERS
from fdl.tasks.config import Config
from fdl.tasks.schedules import learning_rate

_KERAS: dict[str, Callable[..., Optimizer]] = {
    "adam": keras.adam,
    "adamw": keras.adam,  # the same, except for the default weight decay
    "nadam": keras.nadam,
    "sgd": keras.sgd,
    "rmsprop": keras.rmsprop,
    "adagrad": keras.adagrad,
}
_WITH_BETAS = ("adam", "adamw", "nadam")


def make_optimizer(
    config: Config, info: DatasetInfo, *, beta_1: float = 0.9, beta_2: float = 0.999
) -> Optimizer:
    """Return the optimizer of a run, with its schedule.

    `adam`, `adamw`, `nadam`, `sgd`, `rmsprop` and `adagrad` are Keras'; `lion` (Chen et
    al., 2023, arXiv:2302.06675), `lamb` (You et al., 2020, arXiv:1904.00962) and `muon`
    are optax's. Muon (Jordan et al., 2024) orthogonalizes the updates of matrices,
    scaled to the size of Adam's (Liu et al., 2025, arXiv:2502.16982), and updates all
    other parameters with AdamW. Weight decay is decoupled and applies to all
    parameters; clipping limits the global norm of the gradients.

    Args:
        config: Its settings.
        info: Its data, whose size determines the number of updates.
        beta_1: Decay of the mean gradient, for Adam, AdamW and Nadam.
        beta_2: Decay of the mean squared gradient, likewise.

    Example:
        >>> import fdl, jax.numpy as jnp
        >>> info = fdl.data.load("mnist-5k").info
        >>> config = fdl.tasks.find("cnn").config(optimizer="sgd", momentum=0.9)
        >>> optimizer = make_optimizer(config, info)
        >>> updates, _ = optimizer.update(jnp.ones(1), optimizer.init(jnp.zeros(1)))
        >>> round(float(updates[0]), 4)
        -0.01
    """
    name, rate = config.optimizer, learning_rate(config, info)
    decay = _or_default(config.weight_decay, OPTIMIZERS[name].weight_decay)
    momentum = _or_default(config.momentum, OPTIMIZERS[name].momentum)
    if name in _KERAS:
        own: dict[str, Any] = {} if momentum is None else {"momentum": momentum}
        if name in _WITH_BETAS:
            own = {"beta_1": beta_1, "beta_2": beta_2}
        return _KERAS[name](
            rate,
            weight_decay=decay if is_on(decay) else None,
            global_clipnorm=config.clip_norm if is_on(config.clip_norm) else None,
            **own,
        )
    clips = is_on(config.clip_norm)
    clip = optax.clip_by_global_norm(config.clip_norm) if clips else optax.identity()
    return optax.chain(clip, _of_optax(name, rate, decay, momentum))


def _of_optax(
    name: str, rate: Any, decay: Any, momentum: Any
) -> optax.GradientTransformation:
    if name == "lion":
        return optax.lion(rate, weight_decay=decay)
    if name == "lamb":
        return optax.lamb(rate, weight_decay=decay)
    return optax.contrib.muon(
        rate,
        beta=momentum,
        weight_decay=decay,
        adam_weight_decay=decay,
        consistent_rms=0.2,
    )


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value
