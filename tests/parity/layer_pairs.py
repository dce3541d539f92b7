"""One of our layers and Keras' on TensorFlow, with the same weights, compared.

The error of an array is ||ours - theirs|| / ||theirs||, and every array counts: all
outputs and states, and the gradient of every parameter, input and initial state.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
from flax.traverse_util import flatten_dict, unflatten_dict

TOLERANCE = {"float32": (1e-5, 1e-4), "float64": (1e-10, 1e-9)}  # values, gradients

precisions = pytest.mark.parametrize("precision", ["float32", "float64"])


@contextlib.contextmanager
def precise(precision: str):
    """Compute in one precision on both sides."""
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)  # it keeps the first float type otherwise
    try:
        with jax.enable_x64(precision == "float64"):
            yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def draw(precision: str, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(precision)


def error(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    return float(np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30))


def compare(
    layer: linen.Module,
    twin: Any,
    order: tuple[str, ...],
    inputs: dict[str, np.ndarray],
    ours: Callable[..., list[Any]],
    theirs: Callable[..., list[Any]],
    precision: str,
    vanishing: tuple[str, ...] = (),
) -> None:
    """Compare what both layers make of `inputs`, and all its derivatives.

    Args:
        layer: Our layer.
        twin: Keras' layer.
        order: The order in which Keras lists the weights, by our names.
        inputs: What is differentiated besides the weights.
        ours: Function of our layer and of the inputs; returns a list of arrays.
        theirs: The same of the twin.
        precision: Floating type of both sides.
        vanishing: Parameters whose gradient is zero but for rounding.
    """
    function = linen.apply(ours, layer)
    init = linen.init(ours, layer)
    shapes = jax.eval_shape(init, jax.random.key(0), **inputs)["params"]
    shapes = {"/".join(k): v.shape for k, v in flatten_dict(shapes).items()}
    weights = {
        name: draw(precision, *shapes[name], seed=i) / 2 for i, name in enumerate(order)
    }
    assert weights.keys() == shapes.keys()

    def run(weights: dict, inputs: dict) -> list[Any]:
        return function({"params": unflatten_dict(weights, sep="/")}, **inputs)

    outputs = jax.eval_shape(run, weights, inputs)
    cotangents = [draw(precision, *v.shape, seed=i) for i, v in enumerate(outputs)]

    @jax.jit
    def differentiate(weights: dict, inputs: dict) -> tuple[Any, Any]:
        values, pull_back = jax.vjp(run, weights, inputs)
        return values, pull_back([jax.numpy.asarray(c) for c in cotangents])

    values, (grads, input_grads) = differentiate(weights, inputs)

    tensors = {name: tf.constant(x) for name, x in inputs.items()}
    theirs(twin, **tensors)  # which builds the twin
    twin.set_weights(list(weights.values()))
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        their_values = theirs(twin, **tensors)
        total = sum(
            tf.reduce_sum(value * cotangent)
            for value, cotangent in zip(their_values, cotangents, strict=True)
        )
    their_grads, their_input_grads = tape.gradient(
        total,
        ([w.value for w in twin.trainable_weights], tensors),
        unconnected_gradients="zero",
    )
    their_grads = dict(zip(order, map(tf.convert_to_tensor, their_grads), strict=True))

    of_values, of_gradients = TOLERANCE[precision]
    errors = [error(a, b) for a, b in zip(values, their_values, strict=True)]
    assert max(errors) < of_values, errors
    size = max(np.linalg.norm(grad) for grad in grads.values())
    for name in vanishing:
        assert np.linalg.norm(grads.pop(name)) < of_values * size
        assert np.linalg.norm(their_grads.pop(name)) < of_values * size
    errors = {name: error(grads[name], their_grads[name]) for name in grads}
    errors |= {
        f"input {k}": error(input_grads[k], their_input_grads[k]) for k in inputs
    }
    assert max(errors.values()) < of_gradients, errors


def compare_starts(
    layer: linen.Module, twin: Any, order: tuple[str, ...], inputs: list[np.ndarray]
) -> None:
    """Assert that training starts from the same distribution, once `twin` is built."""
    ours = flatten_dict(layer.init(jax.random.key(0), *inputs)["params"], sep="/")
    for path, theirs in zip(order, twin.get_weights(), strict=True):
        a, b = np.asarray(ours[path]), theirs
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if path.endswith("bias"):
            np.testing.assert_array_equal(a, b)
        elif path.endswith("recurrent_kernel"):  # orthogonal rows of length 1
            for kernel in (a, b):
                np.testing.assert_allclose(kernel @ kernel.T, np.eye(len(a)), atol=1e-5)
        else:
            # Both uniform: the same range, and the same spread within sampling error.
            few = 6 / np.sqrt(a.size)
            assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=few)
            assert a.std() == pytest.approx(b.std(), rel=few)
            assert abs(a.mean()) < few * a.std()
