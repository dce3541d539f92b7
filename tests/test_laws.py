"""The laws that every model keeps, over the table in zoo.py."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from fdl.losses import cross_entropy
from zoo import ZOO, Case

GOLDEN = Path(__file__).parent / "golden"

pytestmark = pytest.mark.parametrize("case", ZOO, ids=lambda case: case.name)


def close(a: object, b: object, tolerance: float = 1e-5) -> None:
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance),
        a,
        b,
    )


def test_model_is_pure(case: Case) -> None:
    model, variables, x = case.make(), case.variables(), case.inputs(3)
    kept = jax.tree.map(np.copy, variables)
    first = model.apply(variables, x)
    model.apply(variables, case.inputs(3, seed=1))
    np.testing.assert_array_equal(model.apply(variables, x), first)
    jax.tree.map(np.testing.assert_array_equal, variables, kept)


def test_leading_axes_are_batch_axes(case: Case) -> None:
    model, variables, x = case.make(), case.variables(), case.inputs(2, 3)
    flat = model.apply(variables, x.reshape(6, *case.input_shape))
    assert flat.shape == (6, case.num_classes)
    assert len(np.unique(np.asarray(flat), axis=0)) == 6, "rows must differ to tell"
    close(model.apply(variables, x), flat.reshape(2, 3, -1))
    close(jax.vmap(lambda one: model.apply(variables, one))(x[0]), flat[:3])
    close(model.apply(variables, x[0, 0]), flat[0])


def test_jit_equals_eager_and_compiles_once(case: Case) -> None:
    model, variables = case.make(), case.variables()
    traces = []

    @jax.jit
    def apply(variables: object, x: jax.Array) -> jax.Array:
        traces.append(x.shape)
        return model.apply(variables, x)

    for seed in (0, 1):
        x = case.inputs(4, seed=seed)
        close(apply(variables, x), model.apply(variables, x))
    assert len(traces) == 1


def test_shapes_are_checked_by_the_signature(case: Case) -> None:
    model, variables = case.make(), case.variables()
    with pytest.raises(jaxtyping.TypeCheckError):
        model.apply(variables, case.inputs()[..., 0])


def test_no_silent_promotion(case: Case) -> None:
    assert jax.config.jax_numpy_rank_promotion == "raise"
    model, variables, x = case.make(), case.variables(), case.inputs(2)
    with jax.numpy_dtype_promotion("strict"):
        assert model.apply(variables, x).dtype == jnp.float32


def test_names_are_frozen(case: Case) -> None:
    shapes = jax.eval_shape(case.make().init, jax.random.key(0), case.inputs(1))
    found = {
        jax.tree_util.keystr(path, simple=True, separator="/"): list(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
    }
    file = GOLDEN / f"{case.name}.json"
    wanted = json.loads(file.read_text())
    assert found == wanted, (
        f"a name or shape changed; if it was meant, write to {file}: "
        f"{json.dumps(found)}"
    )


def test_number_of_parameters(case: Case) -> None:
    shapes = jax.eval_shape(case.make().init, jax.random.key(0), case.inputs(1))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == case.num_params


def test_every_parameter_gets_a_gradient(case: Case) -> None:
    model, x = case.make(), case.inputs(8)
    variables = model.init(jax.random.key(0), x)
    label = jnp.arange(8) % case.num_classes

    def loss(params: object) -> jax.Array:
        return cross_entropy(model.apply({"params": params}, x), label).mean()

    for path, grad in jax.tree_util.tree_leaves_with_path(
        jax.grad(loss)(variables["params"])
    ):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


def test_forward_mode_derivatives_work(case: Case) -> None:
    with jax.enable_x64(True):
        double = lambda tree: jax.tree.map(lambda a: np.asarray(a, np.float64), tree)
        model, variables, x = case.make(), double(case.variables()), case.inputs(2)
        x, towards = double(x), double(case.inputs(2, seed=1))
        apply = jax.jit(lambda x: model.apply(variables, x))
        _, tangent = jax.jvp(apply, (x,), (towards,))
        step = 1e-7  # short enough to cross no kink of a ReLU or a pooling
        slope = (apply(x + step * towards) - apply(x - step * towards)) / (2 * step)
        close(tangent, slope, tolerance=1e-6)
