"""Properties of the embedding layer that do not depend on Keras."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import nn

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
VARIABLES = {"params": {"embedding": TABLE}}
LAYER = nn.Embedding(num_embeddings=5, features=3)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
@pytest.mark.parametrize("shape", [(), (4,), (2, 2)])
def test_tokens_are_looked_up(shape: tuple[int, ...], dtype: type) -> None:
    token = np.random.default_rng(1).integers(5, size=shape).astype(dtype)
    for apply in (LAYER.apply, jax.jit(LAYER.apply)):
        np.testing.assert_array_equal(apply(VARIABLES, token), TABLE[token])


def test_negative_tokens_count_from_the_end() -> None:
    np.testing.assert_array_equal(
        LAYER.apply(VARIABLES, np.array([-1, -5])), TABLE[[4, 0]]
    )


@pytest.mark.parametrize("size", [1, 5])
def test_tokens_beyond_the_table_are_nan(size: int) -> None:
    layer = nn.Embedding(size, 3)
    variables = {"params": {"embedding": TABLE[:size]}}
    found = layer.apply(variables, np.array([0, size, -size - 1]))
    np.testing.assert_array_equal(np.isnan(found).all(axis=-1), [False, True, True])


def test_only_tokens_in_the_input_get_a_gradient() -> None:
    total = lambda variables: LAYER.apply(variables, np.array([1, 3, 3])).sum()
    grad = jax.grad(total)(VARIABLES)["params"]["embedding"]
    np.testing.assert_array_equal(grad[:, 0], [0, 1, 0, 2, 0])


def test_attend_uses_the_table_as_output_layer() -> None:
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)
    logits = LAYER.apply(VARIABLES, x, method="attend")
    np.testing.assert_allclose(logits, x @ TABLE.T, rtol=1e-5, atol=1e-6)


def test_outputs_have_the_dtype_of_the_table() -> None:
    variables = jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), VARIABLES)
    assert LAYER.apply(variables, np.array([0])).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Embedding(0, 3), "num_embeddings=0 must be at least 1"),
        (nn.Embedding(5, 0), "features=0 must be at least 1"),
    ],
)
def test_refuses_invalid_options(layer, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.init(jax.random.key(0), np.zeros(2, int))
