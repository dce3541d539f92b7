"""Convolution and pooling: every lowering is the same function, gradients included."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdl import ops
from fdl.ops.rules import resolve
from fdl.ops.windows import border

IMPLEMENTATIONS = ("xla", "tuned", None)


@st.composite
def windows(draw):
    """Unusual sizes, axes of size 1, strides wider than windows, batches of one."""
    window = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return {
        "batch": draw(st.sampled_from([(), (1,), (3,), (2, 2)])),
        "size": tuple(draw(st.integers(w, 9)) for w in window),
        "channels": draw(st.integers(1, 3)),
        "features": draw(st.integers(1, 3)),
        "window": window,
        "strides": draw(
            st.one_of(st.just(window), st.tuples(st.integers(1, 5), st.integers(1, 5)))
        ),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }


def naive_conv(x, kernel, strides, pads):
    """Compute y[m, n] = sum_p sum_q x[m s + p, n s + q] w[p, q] by loops."""
    batch = x.shape[:-3]
    x = x.reshape(-1, *x.shape[-3:])
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    rows = (x.shape[1] - kernel.shape[0]) // strides[0] + 1
    columns = (x.shape[2] - kernel.shape[1]) // strides[1] + 1
    y = np.zeros((len(x), rows, columns, kernel.shape[-1]))
    for m, n in np.ndindex(rows, columns):
        for p, q in np.ndindex(*kernel.shape[:2]):
            y[:, m, n] += x[:, m * strides[0] + p, n * strides[1] + q] @ kernel[p, q]
    return y.reshape(*batch, *y.shape[1:])


@settings(max_examples=12, deadline=None)
@given(windows())
def test_conv_is_cross_correlation(case) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*case["batch"], *case["size"], case["channels"]))
    kernel = rng.normal(size=(*case["window"], case["channels"], case["features"]))
    pads = border(case["size"], case["window"], case["strides"], case["padding"])
    wanted = naive_conv(x, kernel, case["strides"], pads)
    with jax.enable_x64(True):
        for implementation in ("xla", "tuned"):
            conv = functools.partial(
                ops.conv,
                strides=case["strides"],
                padding=case["padding"],
                implementation=implementation,
            )
            found = jax.jit(conv)(x, kernel)
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@settings(max_examples=10, deadline=None)
@given(windows())
def test_conv_gradients_agree(case) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(*case["batch"], *case["size"], case["channels"]))
    kernel = rng.normal(size=(*case["window"], case["channels"], case["features"]))

    @functools.partial(jax.jit, static_argnums=0)
    def gradients(implementation):
        conv = functools.partial(
            ops.conv,
            strides=case["strides"],
            padding=case["padding"],
            implementation=implementation,
        )
        y, vjp = jax.vjp(conv, x, kernel)
        return vjp(jnp.cos(jnp.arange(y.size)).reshape(y.shape).astype(y.dtype))

    with jax.enable_x64(True):
        for a, b in zip(gradients("tuned"), gradients("xla"), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@settings(max_examples=12, deadline=None)
@given(windows(), st.booleans())
def test_max_pool_lowerings_agree(case, ties) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(*case["batch"], *case["size"], case["channels"]))
    x = np.maximum(np.round(x), 0) if ties else x

    @functools.partial(jax.jit, static_argnums=0)
    def pooled(implementation):
        pool = functools.partial(
            ops.max_pool,
            window=case["window"],
            strides=case["strides"],
            padding=case["padding"],
            implementation=implementation,
        )
        y, vjp = jax.vjp(pool, x)
        weights = jnp.cos(jnp.arange(y.size)).reshape(y.shape).astype(y.dtype)
        return y, *vjp(weights)

    with jax.enable_x64(True):
        for a, b in zip(pooled("xla"), pooled("tuned"), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("pixels", "channels"), [(6, 24), (14, 32)])
def test_gradients_of_grouped_kernels_agree(pixels, channels) -> None:
    """Large enough for XLA to fuse the product with the derivative of concatenation."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, 8, pixels, pixels, channels)).astype(np.float32)
    kernel = jnp.zeros((3, 3, channels // 2, channels))

    def slope(implementation):
        conv = functools.partial(
            ops.conv, x, padding="same", groups=2, implementation=implementation
        )
        return jax.jit(lambda g: jax.vjp(conv, kernel)[1](g)[0])(g)

    np.testing.assert_allclose(slope("tuned"), slope("xla"), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("pixels", [4, 5, 8, 9])
def test_rounding_the_number_of_windows_up_is_same_or_valid(pixels) -> None:
    """As documented in `max_pool`, for windows of 3 and strides of 2."""
    x = np.random.default_rng(0).normal(size=(pixels, pixels, 1)).astype(np.float32)
    starts = range(0, pixels - 1 - pixels % 2, 2)  # ceil((pixels - 3) / 2) + 1 of them
    assert len(starts) == -(-(pixels - 3) // 2) + 1
    wanted = [[x[i : i + 3, j : j + 3].max() for j in starts] for i in starts]
    padding = "valid" if pixels % 2 else "same"
    y = ops.max_pool(x, (3, 3), strides=(2, 2), padding=padding)
    np.testing.assert_array_equal(y[..., 0], wanted)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_max_pool_gives_the_gradient_to_the_first_of_ties(implementation) -> None:
    x = jnp.array([[0.0, 2.0], [2.0, 1.0]]).reshape(2, 2, 1)
    pool = functools.partial(ops.max_pool, implementation=implementation)
    grad = jax.grad(lambda x: pool(x).sum())(x)
    np.testing.assert_array_equal(grad[..., 0], [[0, 1], [0, 0]])


@pytest.mark.parametrize("place", range(4))
def test_max_pool_propagates_nan(place) -> None:
    x = np.arange(4.0, dtype=np.float32)
    x[place] = np.nan
    for implementation in IMPLEMENTATIONS:
        y = ops.max_pool(x.reshape(2, 2, 1), implementation=implementation)
        assert np.isnan(y).all()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_conv_is_the_same_in_a_scan_and_under_vmap(implementation) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 7, 6, 3)).astype(np.float32)
    kernels = rng.normal(size=(4, 3, 3, 3, 2)).astype(np.float32)
    conv = functools.partial(ops.conv, x, implementation=implementation)
    one_by_one = np.stack([conv(kernel) for kernel in kernels])
    _, scanned = jax.lax.scan(lambda c, k: (c, conv(k)), 0, kernels)
    np.testing.assert_allclose(scanned, one_by_one, rtol=1e-5, atol=1e-5)
    mapped = jax.vmap(conv)(kernels)
    np.testing.assert_allclose(mapped, one_by_one, rtol=1e-5, atol=1e-5)


def test_refuses_a_stride_of_zero() -> None:
    with pytest.raises(ValueError, match=r"strides=\(0, 1\)"):
        ops.conv(jnp.ones((5, 5, 1)), jnp.ones((3, 3, 1, 1)), strides=(0, 1))


# Unwrapped, functions do not check types, as in a user's program.
@pytest.mark.parametrize(
    ("message", "function", "arguments"),
    [
        ("padding='SAME'", border, ((5, 5), (3, 3), (1, 1), "SAME")),
        ("implementation='cudnn'", resolve, ("cudnn",)),
    ],
)
def test_refuses_unknown_options(message, function, arguments) -> None:
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(function)(*arguments)


def test_conv_refuses_a_kernel_larger_than_the_image() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ops.conv(jnp.ones((2, 5, 1)), jnp.ones((3, 3, 1, 1)))
