"""Properties of attention layers that do not depend on Keras."""

import functools
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from closeness import close
from fdl import nn

LAYERS = {
    "MultiHeadAttention": nn.MultiHeadAttention(num_heads=2, key_size=5, value_size=3),
    "AdditiveAttention": nn.AdditiveAttention(),
}
WITH_DROPOUT = {
    "MultiHeadAttention": nn.MultiHeadAttention(2, 5, dropout_rate=0.25),
    "AdditiveAttention": nn.AdditiveAttention(dropout_rate=0.25),
}
layers = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
layers_with_dropout = pytest.mark.parametrize(
    "layer", WITH_DROPOUT.values(), ids=WITH_DROPOUT
)


def inputs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


QUERY, KEY, VALUE = inputs(2, 3, 4, 6), inputs(2, 3, 5, 6), inputs(2, 3, 5, 7)
MASK = np.random.default_rng(0).random((2, 3, 4, 5)) < 0.6
MASK[..., 0] = True


def variables_of(layer: linen.Module, *args: Any, seed: int = 0) -> Any:
    """Draw distinct parameters, including biases."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), *args)
    draw = lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 2
    return jax.tree.map(draw, {"params": shapes["params"]})


def weights_of(layer: linen.Module, variables: Any, *args: Any, **options: Any) -> Any:
    apply = jax.jit(functools.partial(layer.apply, mutable=["intermediates"]))
    _, sown = apply(variables, *args, **options)
    return sown["intermediates"]["weights"][0]


@layers
def test_weights_sum_to_one_over_the_allowed_keys(layer) -> None:
    variables = variables_of(layer, QUERY, KEY)
    weights = weights_of(layer, variables, QUERY, KEY, mask=MASK)
    close(weights.sum(axis=-1), np.ones(weights.shape[:-1]))
    mask = MASK[:, :, None] if weights.ndim > MASK.ndim else MASK
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(mask, weights.shape))


@layers
@pytest.mark.parametrize("real", [slice(0, 3), slice(2, 5)])
def test_padding_changes_nothing(layer, real: slice) -> None:
    variables = variables_of(layer, QUERY, KEY, VALUE)
    mask = np.zeros((1, 5), bool)
    mask[:, real] = True
    far = ~mask[0, :, None] * np.float32(100)
    apply = jax.jit(layer.apply)
    padded = apply(variables, QUERY, KEY + far, VALUE + far, mask=mask)
    close(padded, apply(variables, QUERY, KEY[..., real, :], VALUE[..., real, :]))


@layers
def test_the_order_of_keys_does_not_matter(layer) -> None:
    variables = variables_of(layer, QUERY, KEY, VALUE)
    order = [3, 1, 4, 0, 2]
    permuted = [a[..., order, :] for a in (KEY, VALUE)]
    apply = jax.jit(layer.apply)
    close(
        apply(variables, QUERY, KEY, VALUE, mask=MASK),
        apply(variables, QUERY, *permuted, mask=MASK[..., order]),
    )


@layers
def test_causal_does_not_see_the_future(layer) -> None:
    x = KEY[0, 0]
    variables = variables_of(layer, x, x)
    run = lambda x: layer.apply(variables, x, x, causal=True)
    see = jax.jit(jax.jacobian(run))(x)
    reached = np.abs(see).max(axis=(1, 3)) > 0
    np.testing.assert_array_equal(reached, np.tril(np.ones((5, 5), bool)))


@layers
def test_causal_is_combined_with_a_mask(layer) -> None:
    variables = variables_of(layer, QUERY, KEY)
    both = MASK & np.tril(np.ones((4, 5), bool))
    np.testing.assert_array_equal(
        layer.apply(variables, QUERY, KEY, mask=MASK, causal=True),
        layer.apply(variables, QUERY, KEY, mask=both),
    )


def test_a_mask_for_each_head() -> None:
    layer = LAYERS["MultiHeadAttention"]
    variables = variables_of(layer, QUERY, KEY)
    mask = np.stack([MASK, np.ones_like(MASK)], axis=2)
    by_head = weights_of(layer, variables, QUERY, KEY, mask=mask)
    same = weights_of(layer, variables, QUERY, KEY, mask=MASK)
    none = weights_of(layer, variables, QUERY, KEY)
    close(by_head, jnp.stack([same[:, :, 0], none[:, :, 1]], axis=2))


@layers
def test_a_query_without_allowed_keys_is_finite(layer) -> None:
    variables = variables_of(layer, QUERY, KEY)
    total = lambda *a: layer.apply(*a, mask=np.zeros((4, 5), bool)).sum()
    found = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(variables, QUERY, KEY)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def test_additive_attention_after_two_dense_layers_is_bahdanaus() -> None:
    class Bahdanau(linen.Module):
        @linen.compact
        def __call__(self, s: jax.Array, h: jax.Array) -> jax.Array:
            q, k = nn.Dense(8, name="w")(s), nn.Dense(8, name="u")(h)
            return nn.AdditiveAttention(name="v")(q, k, h)

    s, h = QUERY[0, 0], VALUE[0, 0]
    variables = variables_of(Bahdanau(), s, h)
    w, u, v = (variables["params"][name] for name in "wuv")
    energy = np.tanh(
        (s @ w["kernel"] + w["bias"][None])[:, None]
        + (h @ u["kernel"] + u["bias"][None])[None]
    )
    share = np.exp(energy @ v["scale"])
    expected = (share / share.sum(axis=1, keepdims=True)) @ h
    close(Bahdanau().apply(variables, s, h), expected)


@layers_with_dropout
def test_dropout_drops_in_training_only(layer) -> None:
    query, key = np.tile(QUERY[0, 0], (500, 1, 1)), np.tile(KEY[0, 0], (500, 1, 1))
    variables = variables_of(layer, query, key)
    run = jax.jit(
        lambda seed: layer.apply(
            variables, query, key, train=True, rngs={"dropout": jax.random.key(seed)}
        )
    )
    undropped = jax.jit(layer.apply)(variables, query, key)
    close(undropped, np.tile(undropped[:1], (500, 1, 1)))
    np.testing.assert_array_equal(run(0), run(0))
    assert (run(0) != run(1)).any()
    dropped = np.asarray(run(0))
    error = dropped.std(axis=0) / np.sqrt(500)  # standard error of the mean
    assert (np.abs(dropped.mean(axis=0) - undropped[0]) < 5 * error).all()


@pytest.mark.parametrize(
    "layer",
    [
        nn.AdditiveAttention(dropout_rate=0.25),
        nn.MultiHeadAttention(1, 3, 100, 100, dropout_rate=0.25, use_bias=False),
    ],
)
def test_dropout_drops_weights_and_scales_the_others(layer) -> None:
    # All weights are 1 / 100 before dropout, and each value is its own channel.
    query, key, value = np.zeros((50, 3)), np.zeros((100, 3)), np.eye(100)
    query, key, value = (a.astype(np.float32) for a in (query, key, value))
    variables = variables_of(layer, query, key, value)
    if isinstance(layer, nn.MultiHeadAttention):
        params = {**variables["params"]}
        params["value"] = {"kernel": np.eye(100, dtype=np.float32)[:, None]}
        params["out"] = {"kernel": np.eye(100, dtype=np.float32)[None]}
        variables = {"params": params}
    weights = jax.jit(functools.partial(layer.apply, train=True))(
        variables, query, key, value, rngs={"dropout": jax.random.key(0)}
    )
    np.testing.assert_allclose(np.unique(weights), [0, 0.01 / 0.75], rtol=1e-5)
    assert np.mean(weights == 0) == pytest.approx(0.25, abs=0.03)


@layers
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_approximates_single_precision(layer, dtype: str) -> None:
    arrays = (variables_of(layer, QUERY, KEY), QUERY, KEY)
    cast = jax.tree.map(lambda a: a.astype(jnp.dtype(dtype)), arrays)
    apply = jax.jit(functools.partial(layer.apply, mask=MASK, causal=True))
    close(jnp.asarray(apply(*cast), float), apply(*arrays), 0.1)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_softmax_of_half_precision_is_computed_in_single_precision(dtype: str) -> None:
    layer = LAYERS["MultiHeadAttention"]
    arrays = (variables_of(layer, QUERY, KEY), QUERY, KEY)
    cast = jax.tree.map(lambda a: a.astype(jnp.dtype(dtype)), arrays)
    assert weights_of(layer, *cast).dtype == jnp.float32


def test_names_and_shapes_of_parameters() -> None:
    shapes = jax.tree.map(
        np.shape, variables_of(nn.MultiHeadAttention(2, 5, 3, 8), QUERY, KEY, VALUE)
    )
    assert shapes["params"] == {
        "query": {"kernel": (6, 2, 5), "bias": (2, 5)},
        "key": {"kernel": (6, 2, 5), "bias": (2, 5)},
        "value": {"kernel": (7, 2, 3), "bias": (2, 3)},
        "out": {"kernel": (2, 3, 8), "bias": (8,)},
    }
    shapes = variables_of(nn.MultiHeadAttention(2, 5, use_bias=False), QUERY)["params"]
    assert all(p.keys() == {"kernel"} for p in shapes.values())
    assert variables_of(nn.AdditiveAttention(), QUERY, KEY)["params"].keys() == {
        "scale"
    }


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.MultiHeadAttention(0, 4), "num_heads=0 must be at least 1"),
        (nn.MultiHeadAttention(2, -4), "key_size=-4 must be at least 1"),
        (nn.MultiHeadAttention(2, 4, 0), "value_size=0 must be at least 1"),
        (nn.MultiHeadAttention(2, 4, out_features=0), "out_features=0 must be"),
        (nn.MultiHeadAttention(2, 4, dropout_rate=1.5), "dropout_rate=1.5"),
        (nn.AdditiveAttention(dropout_rate=-0.1), "dropout_rate=-0.1"),
    ],
)
def test_refuses_invalid_options(layer, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.init(jax.random.key(0), QUERY, KEY)


@layers
def test_refuses_a_mask_of_another_shape(layer) -> None:
    variables = variables_of(layer, QUERY, KEY)
    mask = np.ones((3, 2, 4, 5), bool)
    with pytest.raises(ValueError, match="does not broadcast to scores"):
        layer.apply(variables, QUERY, KEY, mask=mask)
    with pytest.raises(jaxtyping.TypeCheckError):
        layer.apply(variables, QUERY, KEY, mask=np.ones((4, 6), bool))


SAME = nn.MultiHeadAttention(2, 5)  # JAX's function needs values as wide as keys
NOTHING = MASK & (np.arange(4)[:, None] != 2)  # the third query may attend to nothing


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "mask",
    [
        None,
        NOTHING,
        NOTHING[:, :, None],
        NOTHING[0, 0],
        np.stack([NOTHING, ~NOTHING], axis=2),
    ],
    ids=["none", "pairs", "one for all heads", "one for the batch", "for each head"],
)
def test_jax_own_attention_equals_ours(mask: Any, causal: bool) -> None:
    variables = variables_of(SAME, QUERY, KEY)
    run = jax.jit(lambda q, k: SAME.apply(variables, q, k, mask=mask, causal=causal))
    seen = functools.partial(SAME.apply, causal=causal, mutable=["intermediates"])
    ours, _ = jax.jit(seen)(variables, QUERY, KEY, mask=mask)
    close(run(QUERY, KEY), ours)


def test_jax_own_attention_is_used_where_it_applies(monkeypatch) -> None:
    calls = []

    def attention(*arrays: Any, **options: Any) -> Any:
        calls.append(options["implementation"])
        return real(*arrays, **options)

    real = jax.nn.dot_product_attention
    monkeypatch.setattr(jax.nn, "dot_product_attention", attention)
    layer = nn.MultiHeadAttention(2, 5, implementation="xla")
    jax.eval_shape(layer.init, jax.random.key(0), QUERY, KEY)
    assert calls == ["xla"]
    for other in (
        nn.MultiHeadAttention(2, 5, value_size=3),
        nn.MultiHeadAttention(2, 5, dropout_rate=0.1),
    ):
        jax.eval_shape(other.init, jax.random.key(0), QUERY, KEY)
    variables = variables_of(SAME, QUERY, KEY)
    calls.clear()
    weights_of(SAME, variables, QUERY, KEY)
    with jax.enable_x64(True):
        jax.eval_shape(SAME.apply, variables, QUERY.astype(float), KEY.astype(float))
    assert calls == []
