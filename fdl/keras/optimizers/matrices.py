"""Optimizers that treat parameters as matrices: Adafactor and Muon."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import jax.numpy as jnp
import optax

from fdl.arrays import Array, Number
from fdl.keras.rules import Common, LearningRate, Now, Shared, Slot, follow
from fdl.ranges import require_number, require_whole


def adafactor(
    learning_rate: LearningRate = 1e-3,
    beta_2_decay: Number = -0.8,
    epsilon_1: Number = 1e-30,
    epsilon_2: Number = 1e-3,
    clip_threshold: Number = 1.0,
    relative_step: bool = True,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adafactor (Shazeer & Stern, 2018, arXiv:1804.04235), like Keras' `Adafactor`.

    For a matrix, it stores only the mean squares of rows and columns.

    Args:
        learning_rate: See the module. It is limited to `1 / sqrt(step)`, and relative
            to the root mean square of the parameter.
        beta_2_decay: Power of the step in the decay of mean squares, which is
            `1 - step**beta_2_decay`; at most 0.
        epsilon_1: Added to squares of gradients, at least 0.
        epsilon_2: Lower limit of a parameter's root mean square, at least 0.
        clip_threshold: Largest root mean square of an update before scaling, above 0.
        relative_step: Ignored, as in Keras, which always limits the rate.
        **common: See the module.

    Example:
        >>> tx, w = adafactor(0.1), jnp.full((2, 2), 3.0)
        >>> updates, state = tx.update(jnp.ones((2, 2)), tx.init(w), w)
        >>> round(float(updates[0, 0]), 4), state.slots["r"].shape
        (-0.3, (2,))
    """
    require_number("(-inf, 0]", beta_2_decay=beta_2_decay)
    require_number("[0, inf)", epsilon_1=epsilon_1, epsilon_2=epsilon_2)
    require_number("(0, inf)", clip_threshold=clip_threshold)
    del relative_step  # ignored in Keras, which always limits the rate

    def size(x: Array) -> Array:
        return jnp.sqrt(jnp.mean(x**2))

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        rate = jnp.minimum(now.rate, 1 / jnp.sqrt(now.step))
        rate = rate * jnp.maximum(jnp.asarray(epsilon_2, g.dtype), size(now.param))
        square = g**2 + epsilon_1
        keep = 1 - now.step**beta_2_decay
        mean = lambda old, new: keep * old + (1 - keep) * new
        r, c = slots["r"], slots["c"]
        if g.ndim < 2:
            v = mean(slots["velocity"], square)
        else:
            r, c = mean(r, square.mean(-1)), mean(c, square.mean(-2))
            v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
        change = g / jnp.sqrt(v)
        change = change / jnp.maximum(1, size(change) / clip_threshold)
        return -rate * change, {"r": r, "c": c, "velocity": v}

    def means(keep: Callable[[tuple], tuple]) -> Slot:
        return lambda path, p: jnp.zeros(keep(p.shape) if p.ndim > 1 else (), p.dtype)

    names: dict[str, Slot] = {
        "r": means(lambda shape: shape[:-1]),
        "c": means(lambda shape: (*shape[:-2], shape[-1])),
        "velocity": 0.0,
    }
    return follow(rule, names, learning_rate, needs_params=True, **common)


def muon(
    learning_rate: LearningRate = 1e-3,
    adam_beta_1: Number = 0.9,
    adam_beta_2: Number = 0.999,
    adam_weight_decay: Number | None = 0.004,
    epsilon: Number = 1e-7,
    weight_decay: Number | None = 0.004,
    exclude_layers: Sequence[str] = (),
    exclude_embeddings: bool = True,
    muon_a: Number = 3.4445,
    muon_b: Number = -4.7750,
    muon_c: Number = 2.0315,
    adam_lr_ratio: Number = 1,
    momentum: Number = 0.95,
    ns_steps: int = 5,
    nesterov: bool = True,
    rms_rate: Number | None = 0.2,
    **shared: Unpack[Shared],
) -> optax.GradientTransformation:
    """Muon (Jordan et al., 2024; Liu et al., 2025, arXiv:2502.16982), like Keras'.

    It orthogonalizes the momentum of a matrix; other parameters are trained by AdamW.

    Args:
        learning_rate: See the module.
        adam_beta_1: Decay of the mean gradient in AdamW, in [0, 1).
        adam_beta_2: Decay of the mean square in AdamW, in [0, 1).
        adam_weight_decay: Weight decay in AdamW, at least 0; None for none.
        epsilon: Added to the root of the mean square in AdamW, at least 0.
        weight_decay: Weight decay of matrices, at least 0; None for none.
        exclude_layers: Regular expressions; a matrix whose path, such as
            `head/kernel`, matches one is trained by AdamW.
        exclude_embeddings: Whether matrices with `embedding` in their path are trained
            by AdamW too.
        muon_a: Coefficient of the first power in a Newton-Schulz iteration.
        muon_b: Coefficient of the third power.
        muon_c: Coefficient of the fifth power.
        adam_lr_ratio: Learning rate of AdamW over that of matrices, above 0.
        momentum: Decay of the momentum, in [0, 1].
        ns_steps: Number of Newton-Schulz iterations, at least 0.
        nesterov: Whether to use Nesterov momentum.
        rms_rate: Root mean square of an update over the learning rate, above 0; None
            to apply the orthogonal matrix itself.
        **shared: See the module.

    Example:
        >>> tx, w = muon(0.1, weight_decay=None), jnp.zeros((2, 2))
        >>> updates, _ = tx.update(jnp.eye(2), tx.init(w), w)
        >>> bool(abs(updates[0, 1]) < 1e-6 < -updates[0, 0])
        True
    """
    require_number("[0, 1)", adam_beta_1=adam_beta_1, adam_beta_2=adam_beta_2)
    require_number("[0, 1]", momentum=momentum)
    require_number("[0, inf)", epsilon=epsilon)
    decays = {"adam_weight_decay": adam_weight_decay, "weight_decay": weight_decay}
    require_number("[0, inf) or None", **decays)
    require_number("(0, inf)", adam_lr_ratio=adam_lr_ratio)
    require_number("(0, inf) or None", rms_rate=rms_rate)
    require_whole("[0, inf)", ns_steps=ns_steps)

    def is_for_adam(path: str, p: Array) -> bool:
        is_table = exclude_embeddings and "embedding" in path.lower()
        is_named = any(re.search(pattern, path) for pattern in exclude_layers)
        return p.ndim != 2 or is_table or is_named

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        m, v = slots["momentum"], slots["velocity"]
        if is_for_adam(now.path, g):
            b1, b2 = (jnp.asarray(b, g.dtype) for b in (adam_beta_1, adam_beta_2))
            m, v = m + (g - m) * (1 - adam_beta_1), v + (g**2 - v) * (1 - adam_beta_2)
            rate = now.rate * adam_lr_ratio
            rate = rate * jnp.sqrt(1 - b2**now.step) / (1 - b1**now.step)
            return -rate * m / (jnp.sqrt(v) + epsilon), {"momentum": m, "velocity": v}
        m = m + (g + m * (momentum - 1))
        x = g + momentum * m if nesterov else m
        x = x.T if x.shape[0] > x.shape[1] else x
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(ns_steps):
            square = x @ x.T
            x = muon_a * x + (muon_b * square + muon_c * square @ square) @ x
        x = x.T if g.shape[0] > g.shape[1] else x
        size = 1 if rms_rate is None else math.sqrt(max(x.shape)) * rms_rate
        return -now.rate * x * size, {"momentum": m, "velocity": v}

    names: dict[str, Slot] = {
        "momentum": 0.0,
        "velocity": lambda path, p: jnp.zeros(
            p.shape if is_for_adam(path, p) else (), p.dtype
        ),
    }
    decay = lambda path, p: adam_weight_decay if is_for_adam(path, p) else weight_decay
    return follow(rule, names, learning_rate, weight_decay=decay, **shared)
