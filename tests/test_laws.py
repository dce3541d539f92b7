"""The laws that every model keeps, over the table in zoo.py."""

import functools
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


def targets(case: Case, outputs: object, seed: int = 0) -> object:
    """Draw what a model should answer: classes, or any numbers."""
    rng = np.random.default_rng(seed)
    if case.classes is not None:
        return rng.integers(case.classes, size=outputs.shape[:-1], dtype=np.int32)
    draw = lambda y: rng.normal(size=y.shape).astype(np.float32)
    return jax.tree.map(draw, outputs)


def loss_of(case: Case, outputs: object, target: object) -> jax.Array:
    """Return a loss that depends on every output."""
    if case.classes is not None:
        return cross_entropy(outputs, target).mean()
    distances = jax.tree.map(lambda y, t: jnp.mean((y - t) ** 2), outputs, target)
    return sum(jax.tree.leaves(distances))


def test_model_is_pure(case: Case) -> None:
    model, variables, inputs = case.make(), case.variables(), case.arrays(4)
    kept = jax.tree.map(np.copy, variables)
    first = model.apply(variables, *inputs)
    model.apply(variables, *case.arrays(4, seed=1))
    again = model.apply(variables, *inputs)
    jax.tree.map(np.testing.assert_array_equal, again, first)
    jax.tree.map(np.testing.assert_array_equal, variables, kept)


def test_leading_axes_are_batch_axes(case: Case) -> None:
    variables, inputs = case.variables(), case.arrays(2, 3)
    apply = jax.jit(case.make().apply)
    flat_inputs = [x.reshape(6, *x.shape[2:]) for x in inputs]
    flat = apply(variables, *flat_inputs)
    for output in jax.tree.leaves(flat):
        assert len(output) == 6
        assert len(np.unique(np.asarray(output), axis=0)) == 6, "rows must differ"
    nested = apply(variables, *inputs)
    close(nested, jax.tree.map(lambda y: y.reshape(2, 3, *y.shape[1:]), flat))
    mapped = jax.jit(jax.vmap(functools.partial(apply, variables)))
    close(mapped(*(x[0] for x in inputs)), jax.tree.map(lambda y: y[:3], flat))
    one = apply(variables, *(x[0, 0] for x in inputs))
    close(one, jax.tree.map(lambda y: y[0], flat))


def test_jit_equals_eager_and_compiles_once(case: Case) -> None:
    model, variables = case.make(), case.variables()
    traces = []

    @jax.jit
    def apply(variables: object, *inputs: jax.Array) -> object:
        traces.append(inputs)
        return model.apply(variables, *inputs)

    for seed in (0, 1):
        inputs = case.arrays(4, seed=seed)
        close(apply(variables, *inputs), model.apply(variables, *inputs))
    assert len(traces) == 1


def test_shapes_are_checked_by_the_signature(case: Case) -> None:
    model, variables = case.make(), case.variables()
    first, *others = case.arrays()
    with pytest.raises(jaxtyping.TypeCheckError):
        model.apply(variables, first[..., 0], *others)


def test_no_silent_promotion(case: Case) -> None:
    assert jax.config.jax_numpy_rank_promotion == "raise"
    model, variables, inputs = case.make(), case.variables(), case.arrays(2)
    with jax.numpy_dtype_promotion("strict"):
        outputs = jax.eval_shape(model.apply, variables, *inputs)
    assert {y.dtype for y in jax.tree.leaves(outputs)} == {jnp.dtype(jnp.float32)}


def test_names_are_frozen(case: Case) -> None:
    shapes = jax.eval_shape(case.make().init, jax.random.key(0), *case.arrays(1))
    found = {
        jax.tree_util.keystr(path, simple=True, separator="/"): list(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
    }
    file = GOLDEN / f"{case.name}.json"
    wanted = json.loads(file.read_text()) if file.exists() else None
    assert found == wanted, (
        f"a name or shape changed; if it was meant, write to {file}: "
        f"{json.dumps(found)}"
    )


def test_number_of_parameters(case: Case) -> None:
    shapes = jax.eval_shape(case.make().init, jax.random.key(0), *case.arrays(1))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == case.num_params


def test_every_parameter_gets_a_gradient(case: Case) -> None:
    model, inputs = case.make(), case.arrays(8)
    variables = jax.jit(model.init)(jax.random.key(0), *inputs)
    target = targets(case, jax.eval_shape(model.apply, variables, *inputs))

    def loss(params: object) -> jax.Array:
        outputs = model.apply({**variables, "params": params}, *inputs)
        return loss_of(case, outputs, target)

    for path, grad in jax.tree_util.tree_leaves_with_path(
        jax.jit(jax.grad(loss))(variables["params"])
    ):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


def test_forward_mode_derivatives_work(case: Case) -> None:
    with jax.enable_x64(True):
        is_float = lambda a: np.issubdtype(a.dtype, np.floating)
        double = lambda a: np.asarray(a, np.float64) if is_float(a) else a
        model, others = case.make(), case.variables()
        others, inputs = jax.tree.map(double, (others, case.arrays(2)))
        floats = [x for x in inputs if is_float(x)]
        at = {"params": others.pop("params"), "floats": floats}
        rng = np.random.default_rng(1)
        towards = jax.tree.map(lambda a: rng.normal(size=a.shape), at)

        @jax.jit
        def apply(at: dict[str, object]) -> object:
            rest = iter(at["floats"])
            arguments = [next(rest) if is_float(x) else x for x in inputs]
            return model.apply({"params": at["params"], **others}, *arguments)

        _, tangent = jax.jvp(apply, (at,), (towards,))
        step = 1e-7  # short enough to cross no kink of a ReLU or a pooling
        ahead, behind = (
            apply(jax.tree.map(lambda a, t, s=s: a + s * t, at, towards))
            for s in (step, -step)
        )
        slope = jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind)
        close(tangent, slope, tolerance=1e-6)
