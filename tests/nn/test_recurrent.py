"""Properties of recurrent layers that do not depend on Keras."""

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

TIME, CHANNELS, FEATURES = 6, 3, 4
ONE_WAY = {
    "SimpleRNN": nn.SimpleRNN(FEATURES),
    "LSTM": nn.LSTM(FEATURES),
    "GRU": nn.GRU(FEATURES),
    "GRU reset before": nn.GRU(FEATURES, reset_after=False),
    "LSTM reversed": nn.LSTM(FEATURES, reverse=True),
}
LAYERS = ONE_WAY | {
    "Bidirectional": nn.Bidirectional(nn.LSTM(FEATURES)),
}
layers = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
one_way = pytest.mark.parametrize("layer", ONE_WAY.values(), ids=ONE_WAY)


def inputs(*batch: int, time: int = TIME, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*batch, time, CHANNELS)).astype(np.float32)


def variables_of(layer: linen.Module, seed: int = 0) -> Any:
    """Draw distinct parameters, including biases."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), inputs())
    draw = lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 2
    return jax.tree.map(draw, shapes)


def random_state(layer: linen.Module, *batch: int) -> Any:
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(layer.apply, variables_of(layer), inputs(*batch)).state
    return jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes
    )


@one_way
def test_a_sequence_in_pieces_equals_the_whole(layer) -> None:
    variables, x = variables_of(layer), inputs(2)
    apply = jax.jit(layer.apply)
    whole = apply(variables, x)
    pieces = [x[:, :2], x[:, 2:]]
    outputs, state = [], None
    for piece in reversed(pieces) if layer.reverse else pieces:
        output, state = apply(variables, piece, state)
        outputs.append(output)
    if layer.reverse:
        outputs.reverse()
    close(jnp.concatenate(outputs, axis=1), whole.outputs)
    close(state, whole.state)


@one_way
def test_single_steps_equal_the_whole(layer) -> None:
    variables, x = variables_of(layer), inputs(2)
    step = jax.jit(functools.partial(layer.apply, method="step"))
    state, outputs = None, []
    for time in reversed(range(TIME)) if layer.reverse else range(TIME):
        state = step(variables, x[:, time], state)
        outputs.append(jax.tree.leaves(state)[0])
    if layer.reverse:
        outputs.reverse()
    whole = jax.jit(layer.apply)(variables, x)
    close((jnp.stack(outputs, axis=1), state), tuple(whole))


@one_way
def test_a_reversed_layer_reads_the_reversed_sequence(layer) -> None:
    variables, x, state = variables_of(layer), inputs(2), random_state(layer, 2)
    reversed_layer = layer.clone(reverse=not layer.reverse)
    ahead = jax.jit(layer.apply)(variables, x, state)
    back = jax.jit(reversed_layer.apply)(variables, x[:, ::-1], state)
    close(ahead._replace(outputs=ahead.outputs[:, ::-1]), back)


@layers
@pytest.mark.parametrize("real", [slice(0, 4), slice(2, 6), slice(1, 5)])
def test_padding_changes_nothing(layer, real: slice) -> None:
    variables, x, state = variables_of(layer), inputs(2), random_state(layer, 2)
    mask = np.zeros((2, TIME), bool)
    mask[:, real] = True
    apply = jax.jit(layer.apply)
    padded = apply(variables, np.where(mask[..., None], x, 7), state, mask=mask)
    alone = apply(variables, x[:, real], state)
    close(padded._replace(outputs=padded.outputs[:, real]), alone)


@layers
def test_padding_gets_no_gradient(layer) -> None:
    variables, x = variables_of(layer), inputs(2)
    mask = np.array([[1, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], bool)

    def total(x: jax.Array) -> jax.Array:
        result = layer.apply(variables, x, mask=mask)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(result))

    reached = np.abs(jax.jit(jax.grad(total))(x)).max(axis=-1) > 0
    np.testing.assert_array_equal(reached, mask)


@layers
def test_a_sequence_of_padding_keeps_the_state(layer) -> None:
    state = random_state(layer, 2)
    mask = np.zeros((2, TIME), bool)
    apply = jax.jit(layer.apply)
    result = apply(variables_of(layer), inputs(2), state, mask=mask)
    close(result.state, state, tolerance=0)
    assert not result.outputs.any()


@one_way
def test_padding_repeats_the_previous_output(layer) -> None:
    mask, state = np.array([0, 1, 0, 0, 1, 0], bool), random_state(layer)
    apply = jax.jit(layer.apply)
    outputs = apply(variables_of(layer), inputs(), state, mask=mask).outputs
    if layer.reverse:
        outputs = outputs[::-1]
    assert not outputs[0].any(), "nothing to repeat, whatever the initial state"
    close(outputs[2:4], jnp.stack([outputs[1], outputs[1]]), tolerance=0)
    close(outputs[5], outputs[4], tolerance=0)


def test_bidirectional_equals_two_layers_and_is_zero_at_padding() -> None:
    layer = nn.Bidirectional(nn.LSTM(FEATURES))
    variables, x = variables_of(layer), inputs()
    ways = (("forward", False), ("backward", True))
    ahead, back = (
        jax.jit(nn.LSTM(FEATURES, reverse=reverse).apply)(
            {"params": variables["params"][way]}, x
        )
        for way, reverse in ways
    )
    apply = jax.jit(layer.apply)
    both = apply(variables, x)
    close(both.outputs, jnp.concatenate([ahead.outputs, back.outputs], axis=-1))
    close(both.state, nn.BidirectionalState(ahead.state, back.state))
    mask = np.array([1, 1, 0, 0, 1, 1], bool)
    outputs = apply(variables, x, mask=mask).outputs
    np.testing.assert_array_equal(np.abs(outputs).max(axis=-1) > 0, mask)


def test_names_and_shapes_of_parameters() -> None:
    shapes = lambda layer: jax.tree.map(np.shape, variables_of(layer)["params"])
    lstm = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)}
    gru = {"kernel": (3, 12), "recurrent_kernel": (4, 12)}
    assert shapes(nn.LSTM(4)) == lstm
    assert shapes(nn.GRU(4)) == gru | {"bias": (2, 12)}
    assert shapes(nn.GRU(4, reset_after=False)) == gru | {"bias": (12,)}
    assert shapes(nn.Bidirectional(nn.LSTM(4))) == {"forward": lstm, "backward": lstm}


def test_bidirectional_layers_in_a_model_have_their_own_parameters() -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            layer = nn.LSTM(FEATURES)
            x = nn.Bidirectional(layer, name="first")(x).outputs
            return nn.Bidirectional(layer, name="second")(x).outputs

    params = jax.jit(Model().init)(jax.random.key(0), inputs())["params"]
    assert params.keys() == {"first", "second"}
    kernels = [p[way]["kernel"] for p in params.values() for way in p]
    assert len({float(k[0, 0]) for k in kernels}) == 4, (
        "each kernel is drawn separately"
    )
    outputs = jax.eval_shape(Model().apply, {"params": params}, inputs())
    assert outputs.shape == (TIME, 2 * FEATURES)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.LSTM(0), "features=0 must be at least 1"),
        (nn.GRU(-1), "features=-1 must be at least 1"),
        (nn.Bidirectional(nn.GRU(4, reverse=True)), "is reversed"),
    ],
)
def test_refuses_invalid_options(layer, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.init(jax.random.key(0), inputs())


def test_refuses_an_unknown_merge_mode() -> None:
    jaxtyping.config.update("jaxtyping_disable", True)  # as in a user's program
    try:
        layer = nn.Bidirectional(nn.GRU(4), "max")
        with pytest.raises(ValueError, match="merge_mode='max' must be"):
            layer.init(jax.random.key(0), inputs())
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@one_way
def test_refuses_a_state_of_another_shape(layer) -> None:
    variables = variables_of(layer)
    with pytest.raises(ValueError, match=r"must have \(2, 4\)"):
        layer.apply(variables, inputs(2), random_state(layer, 3))
