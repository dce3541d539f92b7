"""Keras' constraints, which project parameters after each update.

Each function returns a constraint for a single array, with Keras' options. Norms are
taken over `axis`: 0 for each unit of a dense kernel, `(0, 1, 2)` for each filter of a
2D convolution. `constrain` applies constraints to parameters by name.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array, Number, PyTree, is_concrete
from fdl.ranges import require_number

EPSILON = 1e-7
"""The value that Keras adds to a norm before it divides by it."""

Axis = int | tuple[int, ...]
Weights = Float[Array, "*axes"]
Constraint = Callable[[Weights], Weights]


def max_norm(max_value: Number = 2.0, *, axis: Axis = 0) -> Constraint:
    """Limit norms from above (Srebro & Shraibman, 2005), as Keras' `MaxNorm`.

    Args:
        max_value: The largest norm, at least 0.
        axis: Axes over which a norm is taken.

    Raises:
        ValueError: If `max_value` is negative.

    Example:
        >>> max_norm(1.0)(jnp.array([[3.0, 0.3], [4.0, 0.4]])).round(3)
        Array([[0.6, 0.3],
               [0.8, 0.4]], dtype=float32)
    """
    require_number("[0, inf)", max_value=max_value)

    def constraint(w: Weights) -> Weights:
        norms = _norms(w, axis)
        return w * (jnp.clip(norms, 0, max_value) / (EPSILON + norms))

    return constraint


def min_max_norm(
    min_value: Number = 0.0,
    max_value: Number = 1.0,
    rate: Number = 1.0,
    *,
    axis: Axis = 0,
) -> Constraint:
    """Move norms into a range, as Keras' `MinMaxNorm`.

    Args:
        min_value: The smallest norm, at least 0.
        max_value: The largest norm, at least `min_value`.
        rate: Fraction of the way into the range that a norm moves, in [0, 1].
        axis: Axes over which a norm is taken.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> min_max_norm(1.0, 2.0)(jnp.array([[0.3], [0.4]])).round(3)
        Array([[0.6],
               [0.8]], dtype=float32)
    """
    require_number("[0, inf)", min_value=min_value)
    if is_concrete(min_value) and is_concrete(max_value) and max_value < min_value:
        raise ValueError(
            f"max_value={max_value} must be at least min_value={min_value}."
        )
    require_number("[0, 1]", rate=rate)

    def constraint(w: Weights) -> Weights:
        norms = _norms(w, axis)
        wanted = rate * jnp.clip(norms, min_value, max_value) + (1 - rate) * norms
        return w * (wanted / (EPSILON + norms))

    return constraint


def non_neg() -> Constraint:
    """Replace negative weights by 0, as Keras' `NonNeg`.

    Example:
        >>> non_neg()(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    return lambda w: jnp.maximum(w, 0)


def unit_norm(*, axis: Axis = 0) -> Constraint:
    """Scale norms to 1, as Keras' `UnitNorm`.

    Args:
        axis: Axes over which a norm is taken.

    Example:
        >>> unit_norm()(jnp.array([[3.0], [4.0]])).round(3)
        Array([[0.6],
               [0.8]], dtype=float32)
    """
    return lambda w: w / (EPSILON + _norms(w, axis))


def spectral_norm() -> Constraint:
    """Divide by the largest singular value (Miyato et al., 2018).

    All axes but the last are flattened to one. Keras' `SpectralNormalization`
    approximates this by power iteration; a kernel of zeros is unchanged.

    Example:
        >>> spectral_norm()(jnp.array([[1.0, 0.0], [0.0, 4.0]])).round(2)
        Array([[0.25, 0.  ],
               [0.  , 1.  ]], dtype=float32)
    """

    def constraint(w: Weights) -> Weights:
        norm = jnp.linalg.norm(w.reshape(-1, w.shape[-1]), ord=2)
        return w / jnp.where(norm == 0, 1, norm)

    return constraint


def constrain(constraints: Mapping[str, Constraint]) -> Callable[[PyTree], PyTree]:
    """Return a function that applies constraints to parameters by name.

    Args:
        constraints: Constraints by the path of a parameter, with `/` between names.

    Returns:
        A function from parameters to parameters. It raises ValueError if a path does
        not name a parameter.

    Example:
        >>> params = {"dense1": {"kernel": jnp.ones((4, 1)), "bias": -jnp.ones(1)}}
        >>> project = constrain({"dense1/bias": non_neg()})
        >>> project(params)["dense1"]["bias"]
        Array([0.], dtype=float32)
    """
    constraints = dict(constraints)

    def project(params: PyTree) -> PyTree:
        leaves, structure = jax.tree_util.tree_flatten_with_path(params)
        paths = [
            jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves
        ]
        missing = [path for path in constraints if path not in paths]
        if missing:
            raise ValueError(
                f"there is no parameter {missing[0]!r}; parameters: {', '.join(paths)}."
            )
        changed = [
            constraints[path](w) if path in constraints else w
            for path, (_, w) in zip(paths, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, changed)

    return project


def _norms(w: Weights, axis: Axis) -> Float[Array, "*norms"]:
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))
