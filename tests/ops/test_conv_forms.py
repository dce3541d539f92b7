"""Dilated, grouped and transposed convolution: every lowering is the same function."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import ops
from fdl.ops import rules

CASES = {
    "dilated": {"dilation": (2, 3)},
    "dilated, same": {"dilation": (2, 1), "padding": "same"},
    "groups": {"groups": 2},
    "groups, strides": {"groups": 2, "strides": (2, 3), "padding": "same"},
    "depthwise": {"groups": 4},
    "depthwise, dilated": {"groups": 4, "dilation": (1, 2), "padding": "same"},
}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape)


def assert_implementations_agree(function, *arguments) -> None:
    """Compare implementations: values, both modes of derivatives, vmap over kernels."""
    with jax.enable_x64(True):

        @functools.partial(
            jax.jit, static_argnums=0
        )  # one program rather than one for each operation
        def all_of(implementation, *arguments):
            call = functools.partial(function, implementation=implementation)
            y, pull_back = jax.vjp(call, *arguments)
            grads = pull_back(jnp.cos(jnp.arange(y.size * 1.0)).reshape(y.shape))
            _, tangent = jax.jvp(call, arguments, arguments)
            x, kernel = arguments
            many = jax.vmap(call, in_axes=(None, 0))(x, jnp.stack([kernel, -kernel]))
            return y, *grads, tangent, many

        found = (all_of(way, *arguments) for way in ("tuned", "xla"))
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_conv(name: str) -> None:
    options = CASES[name]
    kernel = draw(3, 2, 4 // options.get("groups", 1), 8, seed=1)
    assert_implementations_agree(
        functools.partial(ops.conv, **options), draw(2, 9, 8, 4), kernel
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3), (4, 4)])
def test_conv_transpose(strides, padding: str) -> None:
    transpose = functools.partial(ops.conv_transpose, strides=strides, padding=padding)
    assert_implementations_agree(transpose, draw(2, 4, 3, 5), draw(3, 4, 2, 5, seed=1))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [(2, 2), (4, 1)])
def test_windows_that_are_multiples_of_their_strides(strides, padding: str) -> None:
    options = {"strides": strides, "padding": padding}
    kernel = draw(4, 2, 3, 5, seed=1)
    assert_implementations_agree(
        functools.partial(ops.conv, **options), draw(2, 11, 7, 3), kernel
    )
    kernel = draw(4, 2, 5, 3, seed=1)
    assert_implementations_agree(
        functools.partial(ops.conv_transpose, **options), draw(2, 3, 4, 3), kernel
    )


# The rules that choose the form of a small convolution, and the groups each applies to.
RULES = {
    "patches of rows": ({}, 1),
    "patches of windows": ({"FEW_ROWS": 99}, 1),
    "planes": ({"FEW_CHANNELS": 99}, 1),
    "an image at a time": ({"PART_BYTES": 1}, 1),
    "images, a few at a time": ({"PART_BYTES": 20_000, "FEW_CHANNELS": 0}, 1),
    "products alone": ({"FEW_PIXELS": 999}, 1),
    "groups as they are": ({"GROUP_CHANNELS": 1}, 4),
    "groups in pairs": ({"GROUP_CHANNELS": 6}, 4),
    "depthwise": ({}, 12),
    "depthwise, an image at a time": ({"PART_BYTES": 1}, 12),
    "depthwise, two rows at once": ({"FOLD": 2}, 12),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_the_same_result(name: str, monkeypatch) -> None:
    changed, groups = RULES[name]
    for rule, value in changed.items():
        monkeypatch.setattr(rules, rule, value)
    options = {"groups": groups, "padding": "same"}
    kernel = draw(3, 2, 12 // groups, 12, seed=1)
    assert_implementations_agree(
        functools.partial(ops.conv, **options), draw(6, 9, 8, 12), kernel
    )


IMAGES, KERNEL = (2, 7, 6, 3), (3, 2, 3, 4)


@pytest.mark.parametrize("axes", [(0, None), (None, 2), (3, 0), (1, 4)])
def test_derivatives_of_vmap(axes) -> None:
    def stacked(shape: tuple[int, ...], axis: int | None) -> np.ndarray:
        return draw(*(shape if axis is None else (*shape[:axis], 5, *shape[axis:])))

    x, kernel = (stacked(*each) for each in zip((IMAGES, KERNEL), axes, strict=True))

    def all_of(implementation):
        one = functools.partial(ops.conv, implementation=implementation)
        total = lambda x, k: jnp.sum(jnp.sin(jax.vmap(one, in_axes=axes)(x, k)))
        first = jax.grad(total, (0, 1))
        return *first(x, kernel), *jax.jvp(first, (x, kernel), (x, kernel))[1]

    with jax.enable_x64(True):
        for a, b in zip(*map(all_of, ("tuned", "xla")), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_the_batch_size_may_be_symbolic() -> None:
    (count,) = jax.export.symbolic_shape("count")
    for groups in (1, 2, 4):
        conv = jax.jit(functools.partial(ops.conv, groups=groups))
        kernel = jnp.ones((3, 3, 4 // groups, 4))
        x = jax.ShapeDtypeStruct((count, 8, 8, 4), jnp.float32)
        exported = jax.export.export(conv)(x, kernel)
        ones = jnp.ones((5, 8, 8, 4))
        np.testing.assert_allclose(exported.call(ones, kernel), conv(ones, kernel))


def test_the_batch_size_may_be_symbolic_in_gradients() -> None:
    (count,) = jax.export.symbolic_shape("count")
    kernels = {"conv": jnp.ones((3, 3, 4, 4)), "depthwise": jnp.ones((3, 3, 1, 4))}
    weights = (jnp.ones((4, 8)), jnp.ones((2, 8)), jnp.ones(8))

    @jax.jit
    @jax.grad
    def grad(parameters, x):
        kernels, weights = parameters
        y = ops.conv(x, kernels["conv"]).sum()
        y += ops.conv(x, kernels["depthwise"], groups=4).sum()
        start = ops.LSTMState(*(jnp.zeros((x.shape[0], 2)),) * 2)
        return y + ops.lstm(x[:, 0], *weights, start).outputs.sum()

    x = jax.ShapeDtypeStruct((count, 8, 8, 4), jnp.float32)
    exported = jax.export.export(grad)((kernels, weights), x)
    ones = jnp.ones((5, 8, 8, 4))
    given = (kernels, weights), ones
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
    jax.tree.map(close, exported.call(*given), grad(*given))


def test_sums_of_half_precision_are_in_single_precision(monkeypatch) -> None:
    monkeypatch.setattr(rules, "PART_BYTES", 1)
    x, g = (
        jnp.ones((512, 4, 4, 1), jnp.bfloat16),
        jnp.ones((512, 3, 3, 1), jnp.bfloat16),
    )
    _, pull_back = jax.vjp(
        lambda k: ops.conv(x, k), jnp.zeros((2, 2, 1, 1), jnp.bfloat16)
    )
    assert float(pull_back(g)[0][0, 0, 0, 0]) == 512 * 9


def test_a_dilated_kernel_equals_one_with_zeros_between() -> None:
    x, kernel = draw(2, 9, 9, 3), draw(2, 2, 3, 4)
    wide = np.zeros((3, 4, 3, 4))
    wide[::2, ::3] = kernel
    with jax.enable_x64(True):
        dilated = ops.conv(x, kernel, dilation=(2, 3))
        np.testing.assert_allclose(dilated, ops.conv(x, wide), rtol=1e-12, atol=1e-12)


def test_groups_read_only_their_own_channels() -> None:
    x, kernel = draw(2, 5, 5, 6), draw(3, 3, 3, 4)
    with jax.enable_x64(True):
        both = ops.conv(x, kernel, groups=2)
        halves = [
            ops.conv(x[..., 3 * i : 3 * i + 3], kernel[..., 2 * i : 2 * i + 2])
            for i in range(2)
        ]
        joined = jnp.concatenate(halves, axis=-1)
        np.testing.assert_allclose(both, joined, rtol=1e-12, atol=1e-12)


def test_transpose_is_the_adjoint() -> None:
    """<conv(a), b> = <a, conv_transpose(b)>: this is what the name means."""
    kernel = draw(3, 3, 2, 5)  # from 2 channels to 5, and back
    a, b = draw(1, 8, 8, 2), draw(1, 4, 4, 5)
    with jax.enable_x64(True):
        how = {"strides": (2, 2), "padding": "same"}
        there = jnp.vdot(ops.conv(a, kernel, **how), b)
        back = jnp.vdot(a, ops.conv_transpose(b, kernel, **how))
        np.testing.assert_allclose(there, back, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.conv(draw(4, 4, 6), draw(2, 2, 3, 3), groups=2), "groups=2"),
        (lambda: ops.conv(draw(4, 4, 6), draw(2, 2, 3, 4), groups=0), "groups=0"),
        (lambda: ops.conv(draw(4, 4, 6), draw(2, 2, 5, 4)), "6 channels"),
        (
            lambda: ops.conv(draw(4, 4, 1), draw(3, 3, 1, 1), dilation=(2, 2)),
            r"\(5, 5\) does not fit",
        ),
        (
            lambda: ops.conv(draw(4, 4, 1), draw(2, 2, 1, 1), dilation=(0, 1)),
            r"dilation=\(0, 1\)",
        ),
        (
            lambda: ops.conv_transpose(draw(4, 4, 3), draw(2, 2, 1, 3), strides=(0, 1)),
            r"strides=\(0, 1\)",
        ),
        (lambda: ops.zero_pad(draw(4, 4, 1), -1), "pads="),
        (lambda: ops.upsample(draw(4, 4, 1), (0, 2)), r"factor=\(0, 2\)"),
        (lambda: ops.avg_pool(draw(2, 2, 1), (3, 3)), "does not fit"),
    ],
)
def test_refuses_invalid_options(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bilinear_upsampling_interpolates_in_double_precision() -> None:
    x = draw(1, 3, 1)
    with jax.enable_x64(True):
        y = ops.upsample(x, (1, 4), method="bilinear")[0, :, 0]
    centers = (np.arange(12) + 0.5) / 4 - 0.5
    wanted = np.interp(centers, np.arange(3), x[0, :, 0])
    np.testing.assert_allclose(y, wanted, rtol=1e-14)
