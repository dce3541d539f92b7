"""Keras' optimizers, step for step, as optax gradient transformations.

They differ from the optimizers of the same name in optax in details that add up: the
place of epsilon, the meaning of momentum, the factor of weight decay. Arguments have
Keras' names and defaults. All optimizers accept

    learning_rate: a number above 0, or a schedule (see `fdl.keras.schedules`);
    weight_decay: decoupled: each step first subtracts `learning_rate * weight_decay`
        times the parameter, at least 0; None for no decay;
    clipnorm: maximum norm of the gradient of each parameter; None or 0 for no limit;
    global_clipnorm: maximum norm of all gradients together; None or 0 for no limit;
    clipvalue: maximum absolute value of a gradient's elements; None or 0 for no limit.

Only the first kind of clipping that is given, in this order, is applied, as in Keras.
Numbers that are out of range, or no numbers, are a ValueError.
"""

from typing import Any, Unpack

import jax.numpy as jnp
import optax

from fdl.arrays import Array, Number, is_on
from fdl.keras.rules import Common, LearningRate, ScalarSlot, follow
from fdl.ranges import require_number


def sgd(
    learning_rate: LearningRate = 0.01,
    momentum: Number = 0.0,
    nesterov: bool = False,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Stochastic gradient descent (Robbins & Monro, 1951), like Keras' `SGD`.

    Momentum accumulates steps, not gradients: `m = momentum m - rate g`, so a change of
    the learning rate affects new gradients only. In optax it affects all of them.

    Args:
        learning_rate: See the module.
        momentum: Fraction of a step carried over to the next, in [0, 1].
        nesterov: Whether to look ahead along the momentum (Nesterov, 1983).
        **common: See the module.

    Example:
        >>> tx = sgd(0.1, momentum=0.9)
        >>> updates, _ = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)))
        >>> updates
        Array([-0.1, -0.1], dtype=float32)
    """
    require_number("[0, 1]", momentum=momentum)
    has_momentum = is_on(momentum)

    def rule(g: Array, slots: dict[str, Array], rate: Array, step: Array) -> Any:
        if not has_momentum:
            return -rate * g, slots
        m = momentum * slots["momentum"] - rate * g
        return (momentum * m - rate * g if nesterov else m), {"momentum": m}

    names = {"momentum": 0.0} if has_momentum else {}
    return follow(rule, names, learning_rate, **common)


def rmsprop(
    learning_rate: LearningRate = 1e-3,
    rho: Number = 0.9,
    momentum: Number = 0.0,
    epsilon: Number = 1e-7,
    centered: bool = False,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """RMSprop (Tieleman & Hinton, 2012), like Keras' `RMSprop`.

    `v = rho v + (1 - rho) g^2`, and the step is `rate g / sqrt(v + epsilon)`, with
    epsilon inside the root.

    Args:
        learning_rate: See the module.
        rho: Decay of the mean square, in [0, 1].
        momentum: Fraction of a step carried over to the next, in [0, 1].
        epsilon: Added to the mean square, at least 0.
        centered: Whether to divide by the standard deviation instead of the root mean
            square.
        **common: See the module.

    Example:
        >>> tx = rmsprop(0.1)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(jnp.zeros(1)))
        >>> round(float(updates[0]), 4)
        -0.3162
    """
    require_number("[0, 1]", rho=rho, momentum=momentum)
    require_number("[0, inf)", epsilon=epsilon)

    def rule(g: Array, slots: dict[str, Array], rate: Array, step: Array) -> Any:
        new = {"velocity": rho * slots["velocity"] + (1 - rho) * g**2}
        square = new["velocity"]
        if centered:
            new["average_gradient"] = rho * slots["average_gradient"] + (1 - rho) * g
            square = square - new["average_gradient"] ** 2
        change = rate * g / jnp.sqrt(square + epsilon)
        if is_on(momentum):
            change = new["momentum"] = momentum * slots["momentum"] + change
        return -change, new

    names = {"velocity": 0.0}
    names |= {"momentum": 0.0} if is_on(momentum) else {}
    names |= {"average_gradient": 0.0} if centered else {}
    return follow(rule, names, learning_rate, **common)


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
    the root before bias correction. Early in training, epsilon weighs up to 30 times
    more than in the form used by optax.

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

    def rule(g: Array, slots: dict[str, Array], rate: Array, step: Array) -> Any:
        m, v = slots["momentum"], slots["velocity"]
        m = m + (g - m) * (1 - beta_1)
        v = v + (g**2 - v) * (1 - beta_2)
        new = {"momentum": m, "velocity": v}
        if amsgrad:
            v = new["velocity_hat"] = jnp.maximum(slots["velocity_hat"], v)
        corrected = rate * jnp.sqrt(1 - beta_2**step) / (1 - beta_1**step)
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
    clipnorm: Number | None = None,
    global_clipnorm: Number | None = None,
    clipvalue: Number | None = None,
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
        clipnorm=clipnorm,
        global_clipnorm=global_clipnorm,
        clipvalue=clipvalue,
    )


def adagrad(
    learning_rate: LearningRate = 1e-3,
    initial_accumulator_value: Number = 0.1,
    epsilon: Number = 1e-7,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adagrad (Duchi et al., 2011, JMLR 12), like Keras' `Adagrad`.

    Args:
        learning_rate: See the module.
        initial_accumulator_value: Initial sum of squares, at least 0.
        epsilon: Added to the sum of squares, inside the root, at least 0.
        **common: See the module.

    Example:
        >>> tx = adagrad(0.1, initial_accumulator_value=3.0)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(jnp.zeros(1)))
        >>> round(float(updates[0]), 4)
        -0.05
    """
    require_number(
        "[0, inf)",
        initial_accumulator_value=initial_accumulator_value,
        epsilon=epsilon,
    )

    def rule(g: Array, slots: dict[str, Array], rate: Array, step: Array) -> Any:
        total = slots["accumulator"] + g**2
        return -rate * g / jnp.sqrt(total + epsilon), {"accumulator": total}

    names = {"accumulator": initial_accumulator_value}
    return follow(rule, names, learning_rate, **common)


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

    def rule(g: Array, slots: dict[str, Array], rate: Array, step: Array) -> Any:
        # Unlike in Adam, Keras rounds the betas to the precision of the gradient here:
        # in float32, 1 - 0.999 has a relative error of 1e-5.
        b1, b2 = jnp.asarray(beta_1, g.dtype), jnp.asarray(beta_2, g.dtype)
        mu = b1 * (1 - 0.5 * 0.96**step)
        next_mu = b1 * (1 - 0.5 * 0.96 ** (step + 1))
        m, v = slots["momentum"], slots["velocity"]
        m = m + (g - m) * (1 - b1)
        v = v + (g**2 - v) * (1 - b2)
        product = slots["u_product"] * mu
        m_hat = next_mu * m / (1 - product * next_mu) + (1 - mu) * g / (1 - product)
        v_hat = v / (1 - b2**step)
        new = {"momentum": m, "velocity": v, "u_product": product}
        return -rate * m_hat / (jnp.sqrt(v_hat) + epsilon), new

    # Keras has one running product for the whole model; all of ours are equal to it.
    names = {"momentum": 0.0, "velocity": 0.0, "u_product": ScalarSlot(1.0)}
    return follow(rule, names, learning_rate, **common)
