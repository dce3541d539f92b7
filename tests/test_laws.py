"""The laws that hold for every model and every layer in the tables of `zoo`."""

import functools
import inspect
import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax.errors import ScopeParamShapeError

from closeness import close
from fdl.losses import cross_entropy
from zoo import LAYERS, ZOO, Case, recurrent, transformers
from zoo.layers import LayerCase

GOLDEN = Path(__file__).parent / "golden"

CASES = [*ZOO, *LAYERS]
# All laws of a case run one after the other, since they share a program.
law = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name, scope="module")
law_of_models = pytest.mark.parametrize(
    "case", ZOO, ids=lambda case: case.name, scope="module"
)
law_of_layers = pytest.mark.parametrize(
    "case", LAYERS, ids=lambda case: case.name, scope="module"
)
SEQUENCES = [
    case
    for case in ZOO
    if case in recurrent.CASES or any(one.below for one in case.inputs)
]
law_of_sequences = pytest.mark.parametrize(
    "case", SEQUENCES, ids=lambda case: case.name, scope="module"
)
NESTED = (2, 3)  # a batch with two axes, of the same examples as a flat one
BATCH = 6
# Flax computes their means and variances in float32, by promotion.
NORMALIZED = {
    "LayerNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    *(case.name for case in transformers.CASES),
}


class Program:
    """The compiled functions of a case, and the input shapes that were traced.

    Each is compiled for few shapes: laws share the results of the same batch.
    """

    def __init__(self, case: Case | LayerCase) -> None:
        self.case = case
        self.model, self.variables = case.make(), case.variables()
        self.traces: list[Any] = []
        self.apply = jax.jit(self._apply)
        # A function of params, inputs, target, weight.
        self.gradients = jax.jit(jax.value_and_grad(self._loss, has_aux=True))

    def _apply(self, variables: Any, *inputs: Any) -> Any:
        self.traces.append(jax.tree.map(jnp.shape, inputs))
        return self.model.apply(variables, *inputs)

    def _loss(self, params: Any, inputs: Any, target: Any, weight: Any) -> Any:
        outputs = self.model.apply({**self.variables, "params": params}, *inputs)
        return loss_of(self.case, outputs, target, weight), outputs

    @functools.cached_property
    def nested(self) -> Any:
        """The outputs of a batch with two axes."""
        return self.apply(self.variables, *self.case.arrays(*NESTED))

    @functools.cached_property
    def target(self) -> Any:
        """Targets for a flat batch."""
        return targets(self.case, flattened(self.nested))

    @functools.cached_property
    def flat(self) -> Any:
        """The outputs of a flat batch, and the gradients."""
        weight = None
        if self.case.classes is not None:
            weight = np.ones(self.target.shape, np.float32)
        inputs, params = self.case.arrays(BATCH), self.variables["params"]
        (_, outputs), grads = self.gradients(params, inputs, self.target, weight)
        return outputs, grads


@functools.lru_cache(maxsize=1)
def program_of(name: str) -> Program:
    """Return the program of a case, cached until the next case."""
    (case,) = (case for case in CASES if case.name == name)
    if isinstance(case, Case):  # layers are small, and have operations in common
        jax.clear_caches()  # the programs of all models would fill the memory
    return Program(case)


def flattened(tree: Any) -> Any:
    """Return a tree with its two batch axes as one."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(BATCH, *x.shape[2:]), tree)


def is_float(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def as_floats(tree: Any, dtype: Any) -> Any:
    """Return a tree with its floating-point arrays cast to a type."""
    return jax.tree.map(lambda x: x.astype(dtype) if is_float(x) else x, tree)


def targets(case: Case | LayerCase, outputs: object, seed: int = 3) -> object:
    """Draw targets for the outputs of a model: classes, or any numbers."""
    rng = np.random.default_rng(seed)
    if case.classes is not None:
        return rng.integers(case.classes, size=outputs.shape[:-1], dtype=np.int32)
    draw = lambda y: rng.normal(size=y.shape).astype(np.float32)
    return jax.tree.map(draw, outputs)


def loss_of(
    case: Case | LayerCase, outputs: Any, target: Any, weight: np.ndarray | None
) -> jax.Array:
    """Return a loss that depends on every output with a nonzero weight."""
    if case.classes is not None:
        return jnp.average(cross_entropy(outputs, target), weights=weight)
    distance = lambda y, t: jnp.average((y - t) ** 2, weights=weight)
    distances = jax.tree.map(distance, outputs, target)
    return sum(jax.tree.leaves(distances))


@law
def test_is_pure_and_compiles_once(case: Case | LayerCase) -> None:
    program, inputs = program_of(case.name), case.arrays(*NESTED)
    kept = jax.tree.map(np.copy, program.variables)

    def text(trace: Any) -> str:
        traced = trace(program.variables, *inputs).jaxpr
        return re.sub("0x[0-9a-f]+", "", str(traced))  # addresses of functions

    # Traced with other inputs first: the next laws show that none of them is kept.
    for seed in (1, 0):
        program.apply(program.variables, *case.arrays(*NESTED, seed=seed))
    assert program.traces.count(jax.tree.map(np.shape, inputs)) == 1
    # Traced again, it is the same program: nothing was kept from the first time.
    again = jax.jit(lambda *arguments: program.model.apply(*arguments))
    assert text(again.trace) == text(program.apply.trace)
    jax.tree.map(np.testing.assert_array_equal, program.variables, kept)


@law_of_layers  # models are made of layers
def test_jit_equals_eager(case: LayerCase) -> None:
    program = program_of(case.name)
    eager = program.model.apply(program.variables, *case.arrays(*NESTED))
    close(program.nested, eager)


@law
def test_leading_axes_are_batch_axes(case: Case | LayerCase) -> None:
    program = program_of(case.name)
    flat, _ = program.flat
    for output in map(np.asarray, jax.tree.leaves(flat)):
        assert len(output) == BATCH
        rows = output.reshape(BATCH, -1)
        assert len(np.unique(rows, axis=0)) == BATCH, "rows must differ"
    close(flattened(program.nested), flat)
    # An example alone, without a batch axis.
    first = functools.partial(jax.tree.map, lambda x: np.asarray(x)[0])
    alone = program.apply(program.variables, *first(case.arrays(BATCH)))
    close(alone, first(flat))


@law_of_models
def test_shapes_are_checked_by_the_signature(case: Case) -> None:
    program = program_of(case.name)
    model, variables = program.model, program.variables
    first, *others = case.arrays()
    # To an MLP, images without a channel axis look like one image with many channels.
    wrong = jaxtyping.TypeCheckError if case.name != "mlp" else ScopeParamShapeError
    with pytest.raises(wrong):
        model.apply(variables, first[..., 0], *others)


@law
def test_no_silent_promotion(case: Case | LayerCase) -> None:
    # Code that mixes types in float32 also does in bfloat16, where float32 constants
    # show too. Normalization may promote in bfloat16, so it is also checked in float32.
    assert jax.config.jax_numpy_rank_promotion == "raise"
    program, rules = program_of(case.name), {"bfloat16": "strict"}
    if case.name in NORMALIZED:
        rules = {"bfloat16": "standard", "float32": "strict"}
    if "Attention" in case.name:  # which has other code for float16
        rules["float16"] = "strict"
    for dtype, rule in rules.items():
        arrays = as_floats((program.variables, case.arrays(2)), jnp.dtype(dtype))
        with jax.numpy_dtype_promotion(rule):
            outputs = jax.eval_shape(
                lambda arrays: program.model.apply(arrays[0], *arrays[1]), arrays
            )
        assert {y.dtype for y in jax.tree.leaves(outputs)} == {jnp.dtype(dtype)}


@law_of_models
def test_names_are_frozen(case: Case) -> None:
    variables = program_of(case.name).variables  # which have the shapes of `init`
    found = {
        jax.tree_util.keystr(path, simple=True, separator="/"): list(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }
    file = GOLDEN / f"{case.name}.json"
    wanted = json.loads(file.read_text()) if file.exists() else None
    assert found == wanted, (
        f"a name or shape changed; if this is intended, write to {file}: "
        f"{json.dumps(found)}"
    )


@law_of_models
def test_number_of_parameters(case: Case) -> None:
    params = program_of(case.name).variables["params"]
    assert sum(x.size for x in jax.tree.leaves(params)) == case.num_params


@law
def test_every_parameter_gets_a_gradient(case: Case | LayerCase) -> None:
    # With drawn parameters; parity/test_starts.py compares initial ones with Keras.
    _, grads = program_of(case.name).flat
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        assert np.isfinite(grad).all(), name
        if name not in case.without_gradient:
            assert np.abs(grad).max() > (0 if case.kinks else 1e-4), name


@law_of_sequences
def test_padding_at_the_end_changes_nothing(case: Case) -> None:
    # No output, loss or gradient changes. Sequences of a batch differ in length; if
    # each token has an output, those of the added padding have no weight.
    program, time, more = program_of(case.name), case.inputs[-1].shape[0], 3
    inputs = case.arrays(BATCH)
    takes_mask = "mask" in inspect.signature(case.make().__call__).parameters
    if takes_mask and not any(one.below for one in case.inputs):
        inputs = (*inputs, np.ones((BATCH, time), np.int32))  # a mask

    def padded(x: np.ndarray) -> np.ndarray:
        if is_float(x):
            return x
        place, room = np.arange(x.shape[1]), x.shape[1] - more
        lengths = np.linspace(1, room, BATCH).astype(int)[:, None]
        return np.where(place < lengths, np.maximum(x, place == 0), 0).astype(x.dtype)

    long = tuple(map(padded, inputs))
    short = tuple(x[:, :-more] for x in long)
    params = program.variables["params"]
    target = program.target
    weight = np.ones(target.shape, np.float32)
    per_token = target.shape[1:2] == (time,)
    cut = lambda x: x[:, : time - more] if per_token else x
    if per_token:
        weight[:, time - more :] = 0
    expected = program.gradients(params, short, cut(target), cut(weight))
    (loss, outputs), grads = program.gradients(params, long, target, weight)
    close(((loss, cut(outputs)), grads), expected)


@law_of_layers  # only layers define derivatives of their own
def test_forward_mode_derivatives_work(case: LayerCase) -> None:
    with jax.enable_x64(True):
        variables = program_of(case.name).variables
        others, inputs = as_floats((variables, case.arrays(2)), np.float64)
        leaves, structure = jax.tree.flatten(inputs)
        floats = [x for x in leaves if is_float(x)]
        at = {"params": others.pop("params"), "floats": floats}
        rng = np.random.default_rng(1)
        towards = jax.tree.map(lambda a: rng.normal(size=a.shape), at)
        model = case.make()

        def apply(at: dict[str, Any]) -> Any:
            rest = iter(at["floats"])
            arguments = [next(rest) if is_float(x) else x for x in leaves]
            arguments = jax.tree.unflatten(structure, arguments)
            return model.apply({"params": at["params"], **others}, *arguments)

        # One program returns the slope, and the values on both sides to compare with.
        derive = jax.jit(lambda at: jax.jvp(apply, (at,), (towards,)))
        # Small enough to cross no kink, or else large enough not to lose digits.
        step, tolerance = (1e-7, 1e-6) if case.kinks else (1e-6, 1e-8)
        ahead, behind = (
            derive(jax.tree.map(lambda a, t, s=s: a + s * t, at, towards))[0]
            for s in (step, -step)
        )
        slope = jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind)
        close(derive(at)[1], slope, tolerance)
