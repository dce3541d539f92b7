"""Keras models of functions of `keras.ops`, more than those in `keras_models`."""

import numpy as np

from graphs.keras_data_models import MODELS as MODELS
from graphs.keras_models import K, L, model
from lazily import keras

RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.normal(size=shape).astype(keras.config.floatx())


@model
def array_operations():
    x, y = L.Input((4, 6), name="x"), L.Input((6,), name="y")
    count = L.Input((5,), dtype="int32", name="count")
    small, positive = 0.9 * K.tanh(x), 1.0 + K.exp(x)
    outputs = {name: getattr(K, name)(small) for name in ELEMENTWISE}
    outputs |= {name: getattr(K, name)(x, small) for name in PAIRS}
    outputs |= {name: getattr(K, name)(count, count + 1) for name in OF_INTEGERS}
    outputs |= {name: getattr(K, name)(x, axis=1) for name in REDUCTIONS}
    square = K.matmul(x, K.transpose(x, (0, 2, 1))) + 5.0 * np.eye(4)
    triangle = K.cholesky(square)
    signs = K.argsort(x, axis=1)
    outputs |= {
        "arccosh": K.arccosh(positive),
        "medians": K.median(x, axis=(1, 2), keepdims=True),
        "weighted": K.average(x, axis=1, weights=drawn(4)),
        "quantiles": K.quantile(x, np.array([0.25, 0.5]), axis=-1),
        "percentile": K.percentile(x, 25.0, axis=1),
        "along": K.take_along_axis(x, signs, axis=1),
        "diff": K.diff(x, n=2, axis=1),
        "cross": K.cross(x[:, :, :3], x[:, :, 3:]),
        "diagonal": K.diagonal(x, offset=1, axis1=1, axis2=2),
        "trace": K.trace(x, axis1=1, axis2=2),
        "tensordot": K.tensordot(x, drawn(6, 3), axes=1),
        "append": K.append(x, small, axis=1),
        "parts": list(K.array_split(x, 4, axis=2)),
        "hstack": K.hstack([x, small]),
        "hsplit": list(K.hsplit(x, 2)),
        "dstack": K.dstack([x, small]),
        "filled": K.full_like(x, 3.0),
        "nan": K.nan_to_num(K.log(x), nan=7.0, neginf=-3.0),
        "turned": K.rot90(x, axes=(1, 2)),
        "selected": K.select([x > 1.0, x > 0.0], [x, 2 * x], -1.0),
        "sorted": K.searchsorted(np.array([-1.0, 0.5]), y[0]),
        "digits": K.digitize(x, np.array([-1.0, 0.5])),
        "inside": K.isin(count, np.array([1, 3])),
        "near": K.isclose(x, small, atol=0.125),
        "trapezoid": K.trapezoid(x, axis=1),
        "inner": K.inner(x, drawn(6)),
        "det": K.det(square),
        "inverse": K.inv(square),
        "triangle": triangle,
        "solved": K.solve(square, x),
        "solved_triangle": K.solve_triangular(triangle, x, lower=True),
        "log_det": K.logdet(square),
        "distances": K.cdist(x, small),
        "tensor": K.convert_to_tensor(x),
        "bytes": K.saturate_cast(300 * x, "uint8"),
        "slice": K.slice(y, (0, 1), (-1, 3)),
        "update": K.slice_update(x, (0, 1, 2), K.zeros_like(x[:, :2, :2])),
        "scatter": K.scatter_update(x[0], np.array([[0, 1], [2, 3]]), drawn(2)),
        "grid": list(K.meshgrid(y[0], y[1])),
        "segments": K.segment_sum(y[0], np.arange(6) % 3, num_segments=3),
    }
    return {"x": x, "y": y, "count": count}, outputs


ELEMENTWISE = """angle arccos arcsin arcsinh arctanh cbrt deg2rad erfinv exp2
isinf rad2deg signbit sinc trunc""".split()
PAIRS = "fmax fmin fmod heaviside hypot logaddexp".split()
OF_INTEGERS = "bitwise_and bitwise_or bitwise_xor gcd lcm left_shift".split()
REDUCTIONS = """argsort average count_nonzero median nanmax nanmean nanmin nanstd
nansum nanvar ptp sort""".split()


@model
def neural_operations():
    x, q = L.Input((8, 9, 4), name="x"), L.Input((6, 2, 4), name="q")
    wave, count = (
        L.Input((20,), name="wave"),
        L.Input((5,), dtype="int32", name="count"),
    )
    image, scale, kernel = K.image, 1.0 + drawn(4) ** 2, drawn(3, 3, 4, 2)
    colors = K.sigmoid(x[..., :3])
    return {"x": x, "q": q, "wave": wave, "count": count}, {
        "average": K.average_pool(x, 2, 2, "same"),
        "max": K.max_pool(x, (3, 2)),
        "conv": K.conv(x, kernel, 2, "same"),
        "conv_spread": K.conv(x, kernel, dilation_rate=2),
        "conv_line": K.conv(q[:, :, 0], drawn(3, 4, 2)),
        "depthwise": K.depthwise_conv(x, kernel, 1, "same"),
        "separable": K.separable_conv(x, kernel, drawn(1, 1, 8, 3), 1, "valid"),
        "patches": image.extract_patches(x, (2, 3)),
        "patches_over": image.extract_patches(x, 3, strides=1, padding="same"),
        "resized": image.resize(x, (12, 5), interpolation="nearest"),
        "padded": image.pad_images(x, 1, 2, target_height=12, target_width=12),
        "cropped": image.crop_images(x, 1, 2, target_height=4, target_width=5),
        "cropped_by": image.crop_images(x, 1, 2, 1, 1),
        "gray": image.rgb_to_grayscale(colors),
        "hsv": image.rgb_to_hsv(colors),
        "rgb": image.hsv_to_rgb(colors),
        "depth_to_space": K.depth_to_space(x, 2),
        "space_to_depth": K.space_to_depth(x[:, :, :8], 2),
        "layer": K.layer_normalization(x, scale, scale),
        "layer_axes": K.layer_normalization(x, axis=(1, 2), epsilon=0.125),
        "rms": K.rms_normalization(x, scale),
        "batch": K.batch_normalization(
            x, scale, scale, -1, offset=scale, scale=scale, epsilon=0.125
        ),
        "moments": list(K.moments(x, axes=[1, 2], keepdims=True)),
        "causal": K.dot_product_attention(q, q, q * 2.0, is_causal=True),
        "biased": K.dot_product_attention(q, q, q, bias=drawn(1, 2, 6, 6), scale=0.5),
        "masked": K.dot_product_attention(
            q, q, q, mask=np.tril(np.ones((1, 1, 6, 6), bool), 2)
        ),
        "hot": K.multi_hot(count, 6),
        "sparse": K.sparsemax(x),
        "squareplus": K.squareplus(x, 3),
        "fft": list(K.fft((wave, wave * 2))),
        "fft2": list(K.fft2((x, K.zeros_like(x)))),
        "ifft2": list(K.ifft2((x, x))),
        "irfft": K.irfft(K.rfft(wave)),
        "stft": list(K.stft(wave, 6, 3, 8)),
        "stft_without": list(K.stft(wave, 6, 3, 8, window=None, center=False)),
        "frames": K.extract_sequences(wave, 5, 2),
        "top": K.in_top_k(count[:, 0], K.cast(wave, "float32"), 3),
    }
