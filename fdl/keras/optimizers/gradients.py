"""Optimizers that scale the gradient by sums of its squares, or follow its sign."""

from typing import Any, Unpack

import jax.numpy as jnp
import optax

from fdl.arrays import Array, Number, is_on
from fdl.keras.rules import Common, LearningRate, Now, follow
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
        nesterov: Whether to use Nesterov momentum (1983).
        **common: See the module.

    Example:
        >>> tx = sgd(0.1, momentum=0.9)
        >>> updates, _ = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)))
        >>> updates
        Array([-0.1, -0.1], dtype=float32)
    """
    require_number("[0, 1]", momentum=momentum)
    has_momentum = is_on(momentum)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        if not has_momentum:
            return -now.rate * g, slots
        m = momentum * slots["momentum"] - now.rate * g
        return (momentum * m - now.rate * g if nesterov else m), {"momentum": m}

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

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        new = {"velocity": rho * slots["velocity"] + (1 - rho) * g**2}
        square = new["velocity"]
        if centered:
            new["average_gradient"] = rho * slots["average_gradient"] + (1 - rho) * g
            square = square - new["average_gradient"] ** 2
        change = now.rate * g / jnp.sqrt(square + epsilon)
        if is_on(momentum):
            change = new["momentum"] = momentum * slots["momentum"] + change
        return -change, new

    names = {"velocity": 0.0}
    names |= {"momentum": 0.0} if is_on(momentum) else {}
    names |= {"average_gradient": 0.0} if centered else {}
    return follow(rule, names, learning_rate, **common)


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

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        total = slots["accumulator"] + g**2
        return -now.rate * g / jnp.sqrt(total + epsilon), {"accumulator": total}

    names = {"accumulator": initial_accumulator_value}
    return follow(rule, names, learning_rate, **common)


def adadelta(
    learning_rate: LearningRate = 1e-3,
    rho: Number = 0.95,
    epsilon: Number = 1e-7,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Adadelta (Zeiler, 2012, arXiv:1212.5701), like Keras' `Adadelta`.

    The paper's learning rate is 1.

    Args:
        learning_rate: See the module.
        rho: Decay of the mean squares, in [0, 1].
        epsilon: Added to both mean squares, at least 0.
        **common: See the module.

    Example:
        >>> tx = adadelta(1.0, epsilon=0.25, rho=0.0)
        >>> updates, _ = tx.update(jnp.zeros(1), tx.init(jnp.zeros(1)))
        >>> updates.shape
        (1,)
    """
    require_number("[0, 1]", rho=rho)
    require_number("[0, inf)", epsilon=epsilon)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        square = rho * slots["accumulated_grad"] + (1 - rho) * g**2
        moved = slots["accumulated_delta_var"]
        change = -jnp.sqrt(moved + epsilon) * g / jnp.sqrt(square + epsilon)
        moved = rho * moved + (1 - rho) * change**2
        new = {"accumulated_grad": square, "accumulated_delta_var": moved}
        return now.rate * change, new

    names = {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}
    return follow(rule, names, learning_rate, **common)


def ftrl(
    learning_rate: LearningRate = 1e-3,
    learning_rate_power: Number = -0.5,
    initial_accumulator_value: Number = 0.1,
    l1_regularization_strength: Number = 0.0,
    l2_regularization_strength: Number = 0.0,
    l2_shrinkage_regularization_strength: Number = 0.0,
    beta: Number = 0.0,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Follow the regularized leader (McMahan et al., 2013), like Keras' `Ftrl`.

    Each step computes a parameter anew, so weight decay affects its linear term only.

    Args:
        learning_rate: See the module.
        learning_rate_power: Power of the sum of squares that scales the rate, at most
            0.
        initial_accumulator_value: Initial sum of squares, at least 0.
        l1_regularization_strength: L1 penalty, which sets small parameters to 0; at
            least 0.
        l2_regularization_strength: L2 penalty, which stabilizes steps; at least 0.
        l2_shrinkage_regularization_strength: L2 penalty added to the gradient; at
            least 0.
        beta: The paper's beta, added to the root of the sum of squares; at least 0.
        **common: See the module.

    Example:
        >>> tx = ftrl(0.1, l1_regularization_strength=10.0)
        >>> w = jnp.ones(1)
        >>> updates, _ = tx.update(w, tx.init(w), w)
        >>> (w + updates).tolist()
        [0.0]
    """
    power, l1 = learning_rate_power, l1_regularization_strength
    shrinkage = l2_shrinkage_regularization_strength
    require_number("(-inf, 0]", learning_rate_power=power)
    require_number(
        "[0, inf)",
        initial_accumulator_value=initial_accumulator_value,
        l1_regularization_strength=l1,
        l2_regularization_strength=l2_regularization_strength,
        l2_shrinkage_regularization_strength=shrinkage,
        beta=beta,
    )

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        w, rate = now.param, now.rate
        total = slots["accumulator"] + g**2
        growth = (total**-power - slots["accumulator"] ** -power) / rate
        linear = slots["linear"] + g + 2 * shrinkage * w - growth * w
        l2 = l2_regularization_strength + beta / (2 * rate)
        new = (jnp.clip(linear, -l1, l1) - linear) / (total**-power / rate + 2 * l2)
        return new - w, {"accumulator": total, "linear": linear}

    names = {"accumulator": initial_accumulator_value, "linear": 0.0}
    return follow(rule, names, learning_rate, needs_params=True, **common)


def lion(
    learning_rate: LearningRate = 1e-3,
    beta_1: Number = 0.9,
    beta_2: Number = 0.99,
    **common: Unpack[Common],
) -> optax.GradientTransformation:
    """Lion (Chen et al., 2023, arXiv:2302.06675), like Keras' `Lion`.

    Each element changes by the learning rate, in the direction of a sign.

    Args:
        learning_rate: See the module.
        beta_1: Weight of the mean gradient in the direction, in (0, 1].
        beta_2: Decay of the mean gradient, in [0, 1].
        **common: See the module.

    Example:
        >>> tx = lion(0.1)
        >>> updates, _ = tx.update(jnp.ones(1), tx.init(jnp.zeros(1)))
        >>> round(float(updates[0]), 4)
        -0.1
    """
    require_number("(0, 1]", beta_1=beta_1)
    require_number("[0, 1]", beta_2=beta_2)

    def rule(g: Array, slots: dict[str, Array], now: Now) -> Any:
        b1, b2, m = (
            *(jnp.asarray(beta, g.dtype) for beta in (beta_1, beta_2)),
            slots["momentum"],
        )
        change = -now.rate * jnp.sign(m * b1 + g * (1 - b1))
        return change, {"momentum": m * b2 + g * (1 - b2)}

    return follow(rule, {"momentum": 0.0}, learning_rate, **common)
