"""Every lowering of an operation is the same function, also in scan and under vmap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import nn, ops
from fdl.ops import rules

ROWS, TIME, CHANNELS, FEATURES = 5, 6, 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, TIME, CHANNELS))
MASK = np.arange(TIME) < RNG.integers(1, TIME + 1, ROWS)[:, None]


def draw(*shape: int) -> np.ndarray:
    return 0.5 * RNG.normal(size=shape)


def with_gates(gates: int, *bias: int) -> tuple[np.ndarray, ...]:
    width = gates * FEATURES
    return draw(CHANNELS, width), draw(FEATURES, width), draw(*bias, width)


STATE = draw(ROWS, FEATURES)
OPERATIONS = {
    "dense": (ops.dense, (draw(CHANNELS, FEATURES),)),
    "dense to fewer": (ops.dense, (draw(CHANNELS, 2),)),
    "simple_rnn": (ops.simple_rnn, (*with_gates(1), STATE)),
    "lstm": (ops.lstm, (*with_gates(4), ops.LSTMState(STATE, draw(ROWS, FEATURES)))),
    "gru": (ops.gru, (*with_gates(3, 2), STATE)),
}
# Masks of layers that are not reversed are in parity/test_layers.py.
SETTINGS = [(name, form) for name in OPERATIONS for form in ("vmap", "scan")] + [
    (name, "reversed and masked") for name in OPERATIONS if "dense" not in name
]


def total(name, implementation, options, x, *weights):
    """Return a scalar that depends on all outputs."""
    outputs = OPERATIONS[name][0](x, *weights, implementation=implementation, **options)
    leaves = jax.tree.leaves(outputs)
    return sum(
        jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)) for y in leaves
    )


def gradients(name, implementation, form):
    masked = form == "reversed and masked"
    options = {"mask": MASK, "reverse": True} if masked else {}
    weights = OPERATIONS[name][1]
    call = functools.partial(total, name, implementation, options, X)
    grad = jax.value_and_grad(call, argnums=range(len(weights)))
    if masked:
        return jax.jit(grad)(*weights)
    many = jax.tree.map(lambda w: np.stack([w, 2 * w, -w]), weights)
    if form == "vmap":
        return jax.jit(jax.vmap(grad))(*many)
    return jax.jit(lambda many: jax.lax.map(lambda w: grad(*w), many))(many)


@pytest.mark.parametrize(("name", "form"), SETTINGS)
def test_lowerings_agree(name: str, form: str) -> None:
    with jax.enable_x64(True):
        found, wanted = (gradients(name, way, form) for way in ("tuned", "xla"))
        close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
        jax.tree.map(close, found, wanted)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "dense" not in name])
@pytest.mark.parametrize("form", ["vmap", "reversed and masked"])
def test_gradients_that_are_summed_within_the_loop_agree(
    name: str, form: str, monkeypatch
) -> None:
    monkeypatch.setattr(rules, "PART_BYTES", 0)
    test_lowerings_agree(name, form)


@pytest.mark.parametrize("layer", [nn.SimpleRNN, nn.LSTM, nn.GRU])
def test_layers_pass_on_the_implementation(layer) -> None:
    def loops(implementation):
        module = layer(FEATURES, implementation=implementation)
        x = jnp.ones((TIME, CHANNELS))
        variables = jax.eval_shape(module.init, jax.random.key(0), x)
        loss = lambda v: module.apply(v, x).outputs.sum()
        return str(jax.make_jaxpr(jax.grad(loss))(variables))

    assert loops("tuned") == loops(None) != loops("xla")


def test_reset_before_has_no_tuned_implementation() -> None:
    kernel, recurrent, bias, h = OPERATIONS["gru"][1]
    call = functools.partial(ops.gru, X, kernel, recurrent, bias[0], h)
    with pytest.raises(ValueError, match="does not support reset_after=False"):
        call(reset_after=False, implementation="tuned")


@pytest.fixture
def on_gpu(monkeypatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize(("size", "products"), [(64, True), (65, False)])
@pytest.mark.parametrize("operation", [ops.conv, ops.conv_transpose])
def test_small_windows_are_matrix_products_on_a_gpu(operation, size, products) -> None:
    # For both, the third axis of the kernel has the channels of the windowed image.
    kernel = jnp.ones((3, 3, size, 2))
    x = jnp.ones((1, 5, 5, size if operation is ops.conv else 2))
    grad = jax.grad(lambda kernel: operation(x, kernel).sum())
    assert ("conv_general" not in str(jax.make_jaxpr(grad)(kernel))) == products


@pytest.mark.usefixtures("on_gpu")
def test_loops_are_unrolled_by_four_on_a_gpu() -> None:
    x, kernel = jnp.ones((TIME, 2)), jnp.ones((2, 6))
    call = lambda x: ops.gru(x, kernel, kernel, jnp.ones((2, 6)), x[0]).outputs
    assert "unroll=4" in str(jax.make_jaxpr(call)(x))
