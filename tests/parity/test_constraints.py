"""Constraints compared with Keras'."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import keras as fk
from lazily import keras

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
CASES = [
    ("max_norm", "MaxNorm", {}),
    ("max_norm", "MaxNorm", {"max_value": 0.5}),
    ("min_max_norm", "MinMaxNorm", {}),
    ("min_max_norm", "MinMaxNorm", {"min_value": 1.0, "max_value": 2.0, "rate": 0.5}),
    ("unit_norm", "UnitNorm", {}),
    ("non_neg", "NonNeg", {}),
]

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("axis", [None, 1, (0, 1)], ids=str)
@pytest.mark.parametrize(("ours", "theirs", "options"), CASES)
def test_constraint(ours, theirs, options, axis, precision) -> None:
    if axis is not None and ours != "non_neg":
        options = {**options, "axis": axis}
    w = np.random.default_rng(0).normal(size=(5, 4, 3))
    w[:, 0] *= 1e-9  # as small as the epsilon added to norms
    w[:, :, 0] *= 3
    w[0, 0] = w[1, 1] = 0
    w = w.astype(precision)
    keras.config.set_floatx(precision)
    try:
        wanted = getattr(keras.constraints, theirs)(**options)(w)
    finally:
        keras.config.set_floatx("float32")
    with jax.enable_x64(precision == "float64"):
        found = getattr(fk.constraints, ours)(**options)(jnp.asarray(w))
    assert found.dtype == precision
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE[precision], atol=1e-12)


def test_constrain_changes_only_the_named_parameters() -> None:
    params = {
        "dense1": {"kernel": 3 * jnp.ones((4, 2)), "bias": -jnp.ones(2)},
        "dense2": {"kernel": 3 * jnp.ones((4, 2))},
    }
    project = fk.constraints.constrain(
        {
            "dense1/kernel": fk.constraints.max_norm(2.0),
            "dense1/bias": fk.constraints.non_neg(),
        }
    )
    found = jax.jit(project)(params)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    np.testing.assert_allclose(found["dense1"]["kernel"], np.ones((4, 2)), rtol=1e-6)
    np.testing.assert_array_equal(found["dense1"]["bias"], [0, 0])
    np.testing.assert_array_equal(found["dense2"]["kernel"], params["dense2"]["kernel"])


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    project = fk.constraints.constrain({"dense/kernel": fk.constraints.non_neg()})
    with pytest.raises(ValueError, match=r"'dense/kernel'.*dense1/bias, dense1/kernel"):
        project({"dense1": {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fk.constraints.max_norm(-1.0), "max_value=-1.0"),
        (lambda: fk.constraints.min_max_norm(2.0, 1.0), "max_value=1.0"),
        (lambda: fk.constraints.min_max_norm(rate=1.5), "rate=1.5"),
    ],
)
def test_invalid_options_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_limit_may_be_traced() -> None:
    w = jnp.array([[3.0], [4.0]])
    found = jax.jit(lambda limit: fk.constraints.max_norm(limit)(w))(jnp.float32(1))
    np.testing.assert_allclose(found, [[0.6], [0.8]], rtol=1e-6)
