"""Adam and its variants, which track a mean gradient and a mean of its magnitude."""

from typing import Any, Unpack

import jax.numpy as jnp
import optax

from fdl.arrays import Array, Number
from fdl.keras.rules import Common, LearningRate, Now, Shared, follow, scalar
from fdl.ranges import require_number, require_whole


def adam(
    learning_rate: LearningRate = 1e-3,
    beta_1: Number = 0.9,
    beta_2: Number = 0.999,
    epsilon: Number = 1e-7,
    amsgrad: bool = False,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adam (Kingma & Ba, 2015, arXiv:1412.6980), like Keras' `Adam`.

    Keras uses the efficient form of the paper, which adds epsilon ("epsilon hat") to
    the root before bias correction. Early in training, epsilon has up to 30 times the
    effect that it has in the form used by optax.

    Args:
        learning_rate: See the module.
        beta_1: Decay of the mean gradient, in [0, 1).
        beta_2: Decay of the mean square, in [0, 1).
        epsilon: Added to the root of the mean square, at least 0.
        amsgrad: Whether to divide by the largest mean square so far (Reddi et al.,
            2018).
        **common: See the module.

    Example:
        >>> tx = adam(0.1)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(jnp.zeros(1)))
        >>> round(float(updates[0]), 5)
        -0.1
    """
    require_number("[0, 1)", beta_1=beta_1, beta_2=beta_2)
    require_number("[0, inf)", epsilon=epsilon)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        m, v = slots["momentum"], slots["velocity"]
        m = m + (g - m) * (1 - beta_1)
        v = v + (g**2 - v) * (1 - beta_2)
        new = {"momentum": m, "velocity": v}
        if amsgrad:
            v = new["velocity_hat"] = jnp.maximum(slots["velocity_hat"], v)
        corrected = now.rate * jnp.sqrt(1 - beta_2**now.step) / (1 - beta_1**now.step)
        return -corrected * m / (jnp.sqrt(v) + epsilon), new

    names = {"momentum": 0.0, "velocity": 0.0}
    names |= {"velocity_hat": 0.0} if amsgrad else {}
    return follow(rule, names, learning_rate, **common)


def adamw(
    learning_rate: LearningRate = 1e-3,
    weight_decay: Number = 0.004,
    beta_1: Number = 0.9,
    beta_2: Number = 0.999,
    epsilon: Number = 1e-7,
    amsgrad: bool = False,
    **shared: Unpack[Shared],
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, arXiv:1711.05101).

    Like Keras' `AdamW`: `adam` with a default `weight_decay` of 0.004.

    Example:
        >>> tx = adamw(0.1, weight_decay=0.5)
        >>> updates, _ = tx.update(jnp.zeros(1), tx.init(jnp.ones(1)), jnp.ones(1))
        >>> round(float(updates[0]), 4)
        -0.05
    """
    return adam(
        learning_rate,
        beta_1,
        beta_2,
        epsilon,
        amsgrad,
        weight_decay=weight_decay,
        **shared,
    )


def adamax(
    learning_rate: LearningRate = 1e-3,
    beta_1: Number = 0.9,
    beta_2: Number = 0.999,
    epsilon: Number = 1e-7,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adam with the infinity norm (Kingma & Ba, 2015), like Keras' `Adamax`.

    Optax adds epsilon to the gradients, before taking the largest.

    Args:
        learning_rate: See the module.
        beta_1: Decay of the mean gradient, in [0, 1).
        beta_2: Decay of the largest gradient, in [0, 1).
        epsilon: Added to the largest gradient, at least 0.
        **common: See the module.

    Example:
        >>> tx = adamax(0.1)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(jnp.zeros(1)))
        >>> round(float(updates[0]), 5)
        -0.1
    """
    require_number("[0, 1)", beta_1=beta_1, beta_2=beta_2)
    require_number("[0, inf)", epsilon=epsilon)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        m = slots["momentum"] + (g - slots["momentum"]) * (1 - beta_1)
        norm = jnp.maximum(beta_2 * slots["norm"], jnp.abs(g))
        power = jnp.asarray(beta_1, g.dtype) ** now.step
        change = -now.rate * m / ((1 - power) * (norm + epsilon))
        return change, {"momentum": m, "norm": norm}

    return follow(rule, {"momentum": 0.0, "norm": 0.0}, learning_rate, **common)


def nadam(
    learning_rate: LearningRate = 1e-3,
    beta_1: Number = 0.9,
    beta_2: Number = 0.999,
    epsilon: Number = 1e-7,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adam with Nesterov momentum (Dozat, 2016), like Keras' `Nadam`.

    Unlike in optax, the momentum warms up: `mu_t = beta_1 (1 - 0.96^t / 2)`.

    Args:
        learning_rate: See the module.
        beta_1: Final decay of the mean gradient, in [0, 1).
        beta_2: Decay of the mean square, in [0, 1).
        epsilon: Added to the root of the mean square, at least 0.
        **common: See the module.

    Example:
        >>> tx = nadam(0.1)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(jnp.zeros(1)))
        >>> updates.shape
        (1,)
    """
    require_number("[0, 1)", beta_1=beta_1, beta_2=beta_2)
    require_number("[0, inf)", epsilon=epsilon)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        # Unlike in Adam, Keras rounds the betas to the precision of the gradient here:
        # in float32, 1 - 0.999 has a relative error of 1e-5.
        b1, b2 = jnp.asarray(beta_1, g.dtype), jnp.asarray(beta_2, g.dtype)
        mu = b1 * (1 - 0.5 * 0.96**now.step)
        next_mu = b1 * (1 - 0.5 * 0.96 ** (now.step + 1))
        m, v = slots["momentum"], slots["velocity"]
        m = m + (g - m) * (1 - b1)
        v = v + (g**2 - v) * (1 - b2)
        product = slots["u_product"] * mu
        m_hat = next_mu * m / (1 - product * next_mu) + (1 - mu) * g / (1 - product)
        v_hat = v / (1 - b2**now.step)
        new = {"momentum": m, "velocity": v, "u_product": product}
        return -now.rate * m_hat / (jnp.sqrt(v_hat) + epsilon), new

    # Keras has one running product for the whole model; all of ours equal it.
    names = {"momentum": 0.0, "velocity": 0.0, "u_product": scalar(1.0)}
    return follow(rule, names, learning_rate, **common)


def lamb(
    learning_rate: LearningRate = 1e-3,
    beta_1: Number = 0.9,
    beta_2: Number = 0.999,
    epsilon: Number = 1e-7,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adam with a rate for each parameter (You et al., 2020, arXiv:1904.00962).

    Like Keras' `Lamb`: the norm of an update is that of the parameter times the
    learning rate.

    Args:
        learning_rate: See the module.
        beta_1: Decay of the mean gradient, in [0, 1).
        beta_2: Decay of the mean square, in [0, 1).
        epsilon: Added to the root of the mean square, at least 0.
        **common: See the module.

    Example:
        >>> tx, w = lamb(0.1), jnp.full(1, 3.0)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(w), w)
        >>> round(float(updates[0]), 5)
        -0.3
    """
    require_number("[0, 1)", beta_1=beta_1, beta_2=beta_2)
    require_number("[0, inf)", epsilon=epsilon)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        m = slots["momentum"] + (g - slots["momentum"]) * (1 - beta_1)
        v = slots["velocity"] + (g**2 - slots["velocity"]) * (1 - beta_2)
        b1, b2 = jnp.asarray(beta_1, g.dtype), jnp.asarray(beta_2, g.dtype)
        root = jnp.sqrt(v / (1 - b2**now.step)) + epsilon
        change = m / (1 - b1**now.step) / root
        size, length = (jnp.sqrt(jnp.sum(x**2)) for x in (now.param, change))
        known = (size > 0) & (length > 0)
        ratio = jnp.where(known, size / jnp.where(known, length, 1), 1)
        return -ratio * now.rate * change, {"momentum": m, "velocity": v}

    names = {"momentum": 0.0, "velocity": 0.0}
    return follow(rule, names, learning_rate, needs_params=True, **common)


def schedulefreeadamw(
    learning_rate: LearningRate = 0.0025,
    beta_1: Number = 0.9,
    beta_2: Number = 0.999,
    epsilon: Number = 1e-8,
    warmup_steps: int = 0,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Schedule-free AdamW (Defazio et al., 2024, arXiv:2405.15682).

    Like Keras' `ScheduleFreeAdamW` on JAX: updates apply to the iterate in the slot
    `momentum`, and the parameters interpolate between it and the mean of all iterates.
    On TensorFlow and PyTorch, Keras 3.15 confuses the slot before a step with the slot
    after it.

    Args:
        learning_rate: See the module.
        beta_1: Weight of the mean in the parameters, in (0, 1].
        beta_2: Decay of the mean square, in [0, 1).
        epsilon: Added to the root of the mean square, at least 0.
        warmup_steps: Number of steps of a linear warm-up to the learning rate, at least
            0.
        **common: See the module.

    Example:
        >>> tx, w = schedulefreeadamw(0.1), jnp.zeros(1)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(w), w)
        >>> round(float(updates[0]), 5)
        -0.1
    """
    require_number("(0, 1]", beta_1=beta_1)
    require_number("[0, 1)", beta_2=beta_2)
    require_number("[0, inf)", epsilon=epsilon)
    require_whole("[0, inf)", warmup_steps=warmup_steps)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        rate, last = now.rate, slots["momentum"]
        b1, b2 = jnp.asarray(beta_1, g.dtype), jnp.asarray(beta_2, g.dtype)
        if warmup_steps:
            rate = rate * jnp.minimum(now.step / warmup_steps, 1)
        v = slots["velocity"] + (g**2 - slots["velocity"]) * (1 - b2)
        m = last - rate * g / (jnp.sqrt(v / (1 - b2**now.step)) + epsilon)
        mean = (now.param - (1 - b1) * last) / b1
        mean = (1 - 1 / now.step) * mean + m / now.step
        new = (1 - b1) * m + b1 * mean
        return new - now.param, {"momentum": m, "velocity": v}

    names = {"momentum": lambda path, p: jnp.asarray(p), "velocity": 0.0}
    return follow(rule, names, learning_rate, needs_params=True, **common)
