"""Implementations of convolution and its two gradients, each chosen for speed."""

import functools
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops import rules
from fdl.ops.dense import dense
from fdl.ops.trilinear import Compute, Map, trilinear
from fdl.ops.windows import Pads, taps

Images = Float[Array, "*batch height width channels"]
Kernel = Float[Array, "kernel_height kernel_width group_channels features"]
Joined = Float[Array, "kernel_height kernel_width joined_channels features"]
Features = Float[Array, "*batch out_height out_width features"]
Padded = Float[Array, "*batch padded_height padded_width channels"]
Channels = Callable[[Array, Array, "Form"], int]


class Form(NamedTuple):
    """The parameters of a convolution, except its arrays.

    Attributes:
        size: Height and width of an image.
        window: Height and width of a kernel.
        strides: Strides of the window, down and across.
        pads: Rows and columns added around an image.
        dilation: Distance between the pixels of a window.
        groups: Number of groups of channels.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: Pads = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def span(self) -> tuple[int, int]:
        """Height and width of the pixels that a window covers."""
        (height, width), (down, across) = self.window, self.dilation
        return (height - 1) * down + 1, (width - 1) * across + 1

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        rows, columns = (
            (size + sum(pads) - span) // stride + 1
            for size, pads, span, stride in zip(
                self.size, self.pads, self.span, self.strides, strict=True
            )
        )
        return rows, columns

    def transposed(self) -> "Form":
        """Return the form that maps stretched output gradients to image gradients."""
        stretched = [
            (size - 1) * stride + 1
            for size, stride in zip(self.out_size, self.strides, strict=True)
        ]
        before = [
            span - 1 - pads[0] for span, pads in zip(self.span, self.pads, strict=True)
        ]
        after = [
            size - from_ + pads[0]
            for size, from_, pads in zip(self.size, stretched, self.pads, strict=True)
        ]
        pads = ((before[0], after[0]), (before[1], after[1]))
        size = (stretched[0], stretched[1])
        return self._replace(size=size, strides=(1, 1), pads=pads)


def join_groups(kernel: Kernel, groups: int) -> tuple[Joined, int]:
    """Join small groups of channels; return a kernel with zeros and fewer groups."""
    height, width, channels, features = kernel.shape
    enough = min(-(-rules.GROUP_CHANNELS // channels), groups)
    each = next(n for n in range(enough, groups + 1) if groups % n == 0)
    kernel = kernel.reshape(height, width, 1, channels, groups // each, each, -1)
    own = jnp.eye(each, dtype=bool).reshape(1, 1, each, 1, 1, each, 1)
    # Not `kernel * own`: on CPU, in jaxlib 0.10.2, XLA fuses a product with the
    # derivative of this one, and the result is wrong or crashes.
    joined = (height, width, each, channels, groups // each, each, kernel.shape[-1])
    own, kernel = jnp.broadcast_to(own, joined), jnp.broadcast_to(kernel, joined)
    kernel = jnp.where(own, kernel, 0).reshape(height, width, each * channels, features)
    return kernel, groups // each


# XLA's own convolution.


def by_xla(
    x: Images, kernel: Kernel, form: Form, stretch: tuple[int, int] = (1, 1)
) -> Features:
    """Call XLA's convolution; `stretch` inserts zeros between the pixels of images."""
    y = lax.conv_general_dilated(
        jnp.reshape(x, (-1, *x.shape[-3:])),
        jnp.asarray(kernel),
        window_strides=form.strides,
        padding=form.pads,
        lhs_dilation=stretch,
        rhs_dilation=form.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=form.groups,
    )
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def _images_of_windows(g: Features, kernel: Kernel, form: Form) -> Images:
    # If windows are a whole number of strides wide, products need no zeros between the
    # pixels of the gradient.
    steps = zip(form.window, form.strides, strict=True)
    whole = all(window % step == 0 for window, step in steps)
    few = kernel.shape[2] <= rules.FEW_CHANNELS
    if few if form.strides == (1, 1) else whole:
        return _images_by_products(g, kernel, form)
    turned = jnp.swapaxes(jnp.flip(kernel, (0, 1)), 2, 3)
    return by_xla(g, turned, form.transposed(), stretch=form.strides)


# Products of patches, which stay fast under `vmap` over kernels.


def by_products(x: Images, kernel: Kernel, form: Form) -> Features:
    """Concatenate the pixels under each window, and multiply by the kernel."""
    x = _pad(x, form)
    if form.strides != (1, 1) and form.dilation == (1, 1) and form.groups == 1:
        (height, width), (down, across) = form.window, form.strides
        if height % down == 0 and width % across == 0:
            x, kernel, form = _blocks(x, kernel, form)
    seen = taps(x, form.window, form.strides, form.dilation)
    *_, group_channels, features = kernel.shape
    if form.groups == 1:
        return dense(jnp.concatenate(seen, axis=-1), kernel.reshape(-1, features))
    split = [tap.reshape(*tap.shape[:-1], form.groups, group_channels) for tap in seen]
    patches = jnp.concatenate(split, axis=-1)
    kernel = kernel.reshape(len(seen) * group_channels, form.groups, -1)
    y = jnp.einsum("...gk,kgf->...gf", patches, kernel)
    return y.reshape(*y.shape[:-2], features)


def _images_by_products(g: Features, kernel: Kernel, form: Form) -> Images:
    channels = kernel.shape[2] * form.groups
    zeros = jnp.zeros((*g.shape[:-3], *form.size, channels), g.dtype)
    return jax.vjp(lambda x: by_products(x, kernel, form), zeros)[1](g)[0]


def _kernel_by_products(x: Images, g: Features, form: Form) -> Kernel:
    shape = (*form.window, x.shape[-1] // form.groups, g.shape[-1])
    zeros = jnp.zeros(shape, x.dtype)
    return jax.vjp(lambda kernel: by_products(x, kernel, form), zeros)[1](g)[0]


def _blocks(
    x: Images, kernel: Kernel, form: Form
) -> tuple[
    Float[Array, "*batch rows columns block"],
    Float[Array, "window_rows window_columns block features"],
    Form,
]:
    # If windows are a whole number of strides wide, they cover whole blocks of pixels.
    # With the pixels of a block as channels, the stride becomes 1, and the slices are
    # fewer and longer.
    (down, across), (height, width) = form.strides, form.window
    rows = (x.shape[-3] - height) // down + height // down
    columns = (x.shape[-2] - width) // across + width // across
    *batch, _, _, channels = x.shape
    x = x[..., : rows * down, : columns * across, :]
    x = x.reshape(*batch, rows, down, columns, across, channels)
    x = jnp.swapaxes(x, -4, -3).reshape(*batch, rows, columns, -1)
    window = (height // down, width // across)
    kernel = kernel.reshape(window[0], down, window[1], across, channels, -1)
    kernel = jnp.swapaxes(kernel, 1, 2)
    kernel = kernel.reshape(*window, down * across * channels, -1)
    return x, kernel, form._replace(strides=(1, 1), window=window)


# The gradient of a kernel on CPU: patches of a few images at a time.


def _kernel_by_parts(x: Images, g: Features, form: Form) -> Kernel:
    channels, features = x.shape[-1], g.shape[-1]
    rows, columns = form.out_size
    count = math.prod(form.window)
    if channels <= rules.FEW_CHANNELS:
        of_part, values = _kernel_by_planes, rows * columns * count * channels
    elif (
        form.strides == form.dilation == (1, 1)
        and form.window[0] > 1
        and rows >= rules.FEW_ROWS
    ):
        of_part = _kernel_by_rows
        values = channels * form.window[1] + features * form.window[0]
        values *= (rows + form.window[0] - 1) * columns
    else:
        of_part, values = _kernel_by_windows, rows * columns * count * channels
    most = max(1, rules.PART_BYTES // (values * x.dtype.itemsize))
    return _sum_over_parts(lambda x, g: of_part(x, g, form), most, x, g)


def _sum_over_parts(
    of_part: Callable[[Images, Features], Array], most: int, x: Images, g: Features
) -> Array:
    """Sum the results of `of_part` for at most `most` images at a time."""
    if rules.at_most(x.shape[0], most):
        return of_part(x, g)
    devices = rules.devices()
    if devices == 1 or len(x) % devices:
        return _sum_one_by_one(of_part, most, x, g)
    # Each device sums over parts of its own images. A part of all images would be on
    # one device, and the others would have to fetch it.
    xs, gs = (a.reshape(devices, -1, *a.shape[1:]) for a in (x, g))
    own = lambda x, g: _sum_one_by_one(of_part, most, x, g)
    return jnp.sum(jax.vmap(own)(xs, gs), axis=0)


def _sum_one_by_one(
    of_part: Callable[[Images, Features], Array], most: int, x: Images, g: Features
) -> Array:
    parts = _parts(len(x), most)
    xs, gs = (a.reshape(parts, -1, *a.shape[1:]) for a in (x, g))
    zero = jax.eval_shape(of_part, xs[0], gs[0])
    wide = jnp.promote_types(zero.dtype, jnp.float32)  # so that small terms are kept
    add = lambda total, part: (total + of_part(*part), None)
    total, _ = lax.scan(add, jnp.zeros(zero.shape, wide), (xs, gs))
    return jnp.asarray(total, zero.dtype)


def _parts(count: int, most: int) -> int:
    """Return the number of equal parts, none of them longer than `most`."""
    return next(n for n in range(-(-count // most), count + 1) if count % n == 0)


def _kernel_by_windows(x: Images, g: Features, form: Form) -> Kernel:
    seen = taps(_pad(x, form), form.window, form.strides, form.dilation)
    patches = seen[0] if len(seen) == 1 else jnp.concatenate(seen, axis=-1)
    kernel = _over_pixels(patches, g)
    return kernel.reshape(*form.window, x.shape[-1], g.shape[-1])


def _kernel_by_rows(x: Images, g: Features, form: Form) -> Kernel:
    # Patches are single rows of a window, with the gradients of all rows that see them:
    # a third of the copying for a window of three rows.
    (height, width), columns = form.window, form.out_size[1]
    x = _pad(x, form)
    seen = jnp.concatenate([x[:, :, j : j + columns] for j in range(width)], axis=-1)
    shifts = [
        jnp.pad(g, [(0, 0), (i, height - 1 - i), (0, 0), (0, 0)]) for i in range(height)
    ]
    used = form.out_size[0] + height - 1
    kernel = _over_pixels(seen[:, :used], jnp.concatenate(shifts, axis=-1))
    kernel = kernel.reshape(width, x.shape[-1], height, g.shape[-1])
    return jnp.moveaxis(kernel, 2, 0)


def _kernel_by_planes(x: Images, g: Features, form: Form) -> Kernel:
    # With few channels, patches along the last axis would be too short.
    planes = lax.optimization_barrier(jnp.moveaxis(_pad(x, form), -1, 0))
    seen = taps(planes[..., None], form.window, form.strides, form.dilation)
    patches = jnp.concatenate([tap[..., 0] for tap in seen], axis=0)
    kernel = patches.reshape(len(patches), -1) @ g.reshape(-1, g.shape[-1])
    return kernel.reshape(*form.window, x.shape[-1], g.shape[-1])


def _over_pixels(a: Images, b: Features) -> Float[Array, "channels features"]:
    axes = tuple(range(a.ndim - 1))
    return lax.dot_general(a, b, ((axes, axes), ((), ())))


# Depthwise: channels do not mix, so products would have single columns.


def _depthwise(x: Images, kernel: Kernel, form: Form) -> Features:
    # Padding first, behind a barrier, lets XLA vectorize the sum.
    x = lax.optimization_barrier(_pad(x, form))
    seen = taps(x, form.window, form.strides, form.dilation)
    weights = kernel.reshape(len(seen), *(1 for _ in x.shape[:-1]), -1)
    weighed = [tap * weight for tap, weight in zip(seen, weights, strict=True)]
    return functools.reduce(jnp.add, weighed)


def _depthwise_images(g: Features, kernel: Kernel, form: Form) -> Images:
    apart = [(0, 0, stride - 1) for stride in form.strides]
    lead = [(0, 0, 0)] * (g.ndim - 3)
    g = lax.pad(g, jnp.zeros((), g.dtype), [*lead, *apart, (0, 0, 0)])
    return _depthwise(g, jnp.flip(kernel, (0, 1)), form.transposed())


def _depthwise_kernel(x: Images, g: Features, form: Form) -> Kernel:
    of_part = functools.partial(_depthwise_part, form=form)
    most = max(1, rules.PART_BYTES // (math.prod(x.shape[1:]) * x.dtype.itemsize))
    return _sum_over_parts(of_part, most, x, g)


def _depthwise_part(x: Images, g: Features, form: Form) -> Kernel:
    # XLA is slow at sums over all axes but the last. Some rows are summed by vectorized
    # additions, and the rest by products with ones.
    fold = min(rules.FOLD, g.shape[-3])
    more = -g.shape[-3] % fold
    g = lax.optimization_barrier(_pad_rows(g, more))
    x = _pad_rows(_pad(x, form), more * form.strides[0])
    x = lax.optimization_barrier(x)
    step = fold * form.strides[0]
    sums = []
    for i in range(form.window[0]):
        rows = [i * form.dilation[0] + k * form.strides[0] for k in range(fold)]
        last = (g.shape[-3] // fold - 1) * step + 1
        for j in range(form.window[1]):
            column = j * form.dilation[1]
            reach = column + (form.out_size[1] - 1) * form.strides[1] + 1
            parts = [
                x[:, row : row + last : step, column : reach : form.strides[1]]
                * g[:, k::fold]
                for k, row in enumerate(rows)
            ]
            sums.append(functools.reduce(jnp.add, parts))
    seen = jnp.stack(lax.optimization_barrier(sums))
    seen = seen.reshape(len(sums), -1, x.shape[-1])
    total = jnp.einsum("m,tmc->tc", jnp.ones(seen.shape[1], x.dtype), seen)
    return total.reshape(*form.window, 1, -1)


def _pad(x: Images, form: Form) -> Padded:
    return jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*form.pads, (0, 0)])


def _pad_rows(x: Images, more: int) -> Padded:
    return jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [(0, more), (0, 0), (0, 0)])


# Choice of the implementation of each map.

Algorithm = Literal["depthwise", "by group", "products", "windows"]


def _algorithm(
    form: Form, group_channels: int, features: int, members: int
) -> Algorithm:
    if form.groups > 1 and group_channels == 1 and features == form.groups:
        return "depthwise"
    if members or jax.default_backend() != "cpu":
        return "products"
    if form.groups > 1:
        return "by group"
    apart = all(
        window <= step for window, step in zip(form.window, form.strides, strict=True)
    )
    few = math.prod(form.out_size) <= rules.FEW_PIXELS
    return "products" if apart or few else "windows"


_OUTPUT: dict[Algorithm, Compute] = {
    "depthwise": _depthwise,
    "products": by_products,
    "windows": by_xla,
}
_IMAGES: dict[Algorithm, Compute] = {
    "depthwise": _depthwise_images,
    "products": _images_by_products,
    "windows": _images_of_windows,
}
_KERNEL: dict[Algorithm, Compute] = {
    "depthwise": _depthwise_kernel,
    "products": _kernel_by_products,
    "windows": _kernel_by_parts,
}


def _by_group(compute: Compute, a: Array, b: Array, form: Form) -> Array:
    """Apply a map without groups to each group, and concatenate the results."""
    one = form._replace(groups=1)
    pairs = zip(*(jnp.split(x, form.groups, axis=-1) for x in (a, b)), strict=True)
    return jnp.concatenate([compute(a, b, one) for a, b in pairs], axis=-1)


def _dispatched(
    algorithms: dict[Algorithm, Compute], group_channels: Channels
) -> Compute:
    """Return a map that dispatches to the implementation chosen by the rules."""

    def compute(a: Array, b: Array, form: Form) -> Array:
        members = a.ndim - 4
        algorithm = _algorithm(form, group_channels(a, b, form), b.shape[-1], members)
        if algorithm == "by group":
            return _by_group(compute, a, b, form)
        of_one = lambda a, b: algorithms[algorithm](a, b, form)
        return functools.reduce(lambda f, _: jax.vmap(f), range(members), of_one)(a, b)

    return compute


def _of_kernel(a: Array, kernel: Array, form: Form) -> int:
    return kernel.shape[-2]


def _of_images(x: Array, g: Array, form: Form) -> int:
    return x.shape[-1] // form.groups


tuned = trilinear(
    "conv",
    output=Map(
        _dispatched(_OUTPUT, _of_kernel),
        lambda x, kernel, form: (x[0], *form.out_size, kernel[-1]),
        ndim=4,
    ),
    images=Map(
        _dispatched(_IMAGES, _of_kernel),
        lambda g, kernel, form: (g[0], *form.size, kernel[-2] * form.groups),
        ndim=4,
    ),
    kernel=Map(
        _dispatched(_KERNEL, _of_images),
        lambda x, g, form: (*form.window, x[-1] // form.groups, g[-1]),
        ndim=4,
    ),
)
"""The three maps of a convolution of images with a single batch axis, each with the
implementation chosen by the rules."""
