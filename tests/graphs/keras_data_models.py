"""More Keras models, like those of `keras_models`: data, channels first, wrappers."""

from graphs.keras_models import MODELS as MODELS
from graphs.keras_models import L, all_on, model
from lazily import Lazily, keras

convnext = Lazily("keras.src.applications.convnext")
inception_resnet = Lazily("keras.src.applications.inception_resnet_v2")


@model
def image_sizes():
    x = L.Input((9, 6, 3), name="x")
    whole = L.Input((9, 6, 3), dtype="uint8", name="whole")
    ways = ("nearest", "bilinear", "lanczos3", "lanczos5")
    outputs = all_on(
        x,
        *(L.Resizing(5, 8, way, name=f"to_{way}") for way in ways),
        L.Resizing(4, 4, antialias=True, name="antialias"),
        L.Resizing(4, 4, "lanczos3", antialias=True, name="antialias_lanczos"),
        L.Resizing(4, 8, crop_to_aspect_ratio=True, name="cropped"),
        L.Resizing(
            5, 3, "nearest", pad_to_aspect_ratio=True, fill_value=2.0, name="padded"
        ),
        L.Resizing(8, 8, pad_to_aspect_ratio=True, name="padded_columns"),
        L.CenterCrop(4, 3, name="center"),
        L.CenterCrop(12, 4, name="center_small"),
        L.UpSampling2D((2, 3), interpolation="lanczos5", name="up_lanczos"),
        L.UpSampling2D((2, 3), interpolation="bilinear", name="up_bilinear"),
    )
    outputs["whole"] = L.Resizing(5, 8)(whole)
    outputs["whole_nearest"] = L.Resizing(5, 8, "nearest")(whole)
    return {"x": x, "whole": whole}, outputs


@model
def encodings():
    x = L.Input((4, 3), name="x")
    token = L.Input((5,), dtype="int32", name="token")
    one = L.Input((1,), dtype="int32", name="one")
    weights = L.Input((5,), name="weights")
    bins = [-0.5, 0.25, 1.0]
    known, masked = [4, 1, 3], [0, -1, 4, 1]
    adapted = L.IntegerLookup(num_oov_indices=2)  # its tokens are not in the graph
    adapted.adapt([[3, 1, 1]])
    return {"x": x, "token": token, "one": one, "weights": weights}, {
        "bins": L.Discretization(bins)(x),
        "at_the_bounds": L.Discretization([1.0, 2.0, 4.0])(token),
        "bins_one_hot": L.Discretization(bins, output_mode="one_hot")(x),
        "bins_count": L.Discretization(bins, output_mode="count")(weights),
        "multi_hot": L.CategoryEncoding(6)(token),
        "one_hot": L.CategoryEncoding(6, output_mode="one_hot")(token),
        "one_hot_of_one": L.CategoryEncoding(6, output_mode="one_hot")(one),
        "count": L.CategoryEncoding(6, output_mode="count")(
            token, count_weights=weights
        ),
        "adapted": adapted(token),
        "lookup": L.IntegerLookup(vocabulary=known)(token),
        "many_unknown": L.IntegerLookup(vocabulary=[4, 0], num_oov_indices=2)(token),
        "masked": L.IntegerLookup(vocabulary=masked, mask_token=0)(token),
        "inverse": L.IntegerLookup(vocabulary=known, invert=True)(token),
        "masked_inverse": L.IntegerLookup(vocabulary=[4, 1], mask_token=0, invert=True)(
            token
        ),
        "counted": L.IntegerLookup(vocabulary=known, mask_token=0, output_mode="count")(
            token
        ),
        "padded": L.IntegerLookup(
            vocabulary=known,
            output_mode="multi_hot",
            max_tokens=7,
            pad_to_max_tokens=True,
        )(token),
    }


MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


@model
def sounds():
    x = L.Input((20, 2), name="x")
    outputs = all_on(
        x,
        *(L.STFTSpectrogram(mode, 6, 3, name=f"mode_{mode}") for mode in MODES),
        L.STFTSpectrogram(
            "real", 6, fft_length=16, padding="same", expand_dims=True, name="longer"
        ),
        L.STFTSpectrogram("stft", 4, window=None, scaling=None, name="no_window"),
        L.STFTSpectrogram(
            "imag",
            4,
            2,
            window="hamming",
            scaling="spectrum",
            periodic=True,
            name="ham",
        ),
    )
    first = L.Permute((2, 1))(x)
    for expand in (False, True):
        outputs[f"first_{expand}"] = L.STFTSpectrogram(
            "stft", 4, data_format="channels_first", expand_dims=expand
        )(first)
    return x, outputs


@model
def mel():
    x = L.Input((64,), name="x")
    outputs = all_on(
        x,
        L.MelSpectrogram(16, 8, num_mel_bins=4, sampling_rate=100, name="decibel"),
        L.MelSpectrogram(
            16,
            8,
            12,
            window="hamming",
            num_mel_bins=4,
            sampling_rate=100,
            min_freq=1.0,
            max_freq=40.0,
            power_to_db=False,
            mag_exp=1.5,
            name="power",
        ),
        L.MelSpectrogram(
            16, 8, window=None, num_mel_bins=4, sampling_rate=99, name="no_window"
        ),
        L.MelSpectrogram(
            16,
            4,
            num_mel_bins=3,
            sampling_rate=100,
            top_db=3.0,
            ref_power=2.0,
            name="top",
        ),
    )
    return x, outputs


@model
def extras():
    x = L.Input((4, 6), name="x")
    token = L.Input((4,), dtype="int32", name="token")
    outputs = all_on(
        x,
        convnext.LayerScale(0.5, 6, name="layer_scale"),
        convnext.StochasticDepth(0.3, name="stochastic_depth"),
        L.Activation("sparsemax", name="sparsemax"),
        L.UnitNormalization(name="unit"),
    )
    outputs["scaled_sum"] = inception_resnet.CustomScaleLayer(0.25)([x, x])
    outputs["tiny"] = L.UnitNormalization()(L.Rescaling(2.0**-30)(x))
    outputs["tiny_dot"] = L.Dot(2, normalize=True)([L.Rescaling(2.0**-20)(x), x])
    tied = L.ReversibleEmbedding(9, 6, mask_zero=True, logit_soft_cap=0.5)
    free = L.ReversibleEmbedding(9, 6, tie_weights=False)
    outputs["tied"] = [L.GRU(2)(tied(token)), tied(x, reverse=True)]
    outputs["free"] = [free(token), free(x, reverse=True)]
    outputs["fourier"] = L.Conv1D(5, 4, kernel_initializer=keras.initializers.STFT())(
        L.Reshape((24, 1))(x)
    )
    return {"x": x, "token": token}, outputs


@model
def recurrent_images():
    rows, x = L.Input((3, 5, 2), name="rows"), L.Input((3, 5, 4, 2), name="x")
    films = L.Input((3, 4, 3, 3, 2), name="films")
    h = L.Conv2D(2, 1, name="h")(x[:, 0])
    real = L.Input((3,), dtype="bool", name="real")
    return {"rows": rows, "x": x, "films": films, "real": real}, {
        "rows": L.ConvLSTM1D(2, 3, return_sequences=True)(rows),
        "strided": L.ConvLSTM2D(2, (3, 2), 2, "same", activation="relu")(x),
        "dilated": L.ConvLSTM2D(2, 2, dilation_rate=2, use_bias=False)(x),
        "backwards": L.ConvLSTM2D(2, 2, go_backwards=True, unit_forget_bias=False)(x),
        "dropping": L.ConvLSTM2D(2, 2, dropout=0.5, recurrent_dropout=0.5)(x),
        "state": list(
            L.ConvLSTM2D(2, 3, padding="same", return_state=True)(
                x, initial_state=[h, h]
            )
        ),
        "films": L.ConvLSTM3D(2, 2)(films),
        "masked": L.ConvLSTM1D(2, 3, return_sequences=True)(rows, mask=real),
    }


@model
def channels_first():
    """No layer here has as many channels as columns.

    If it did, Keras 3.15 on TensorFlow would add the biases of channels to columns.
    """
    first = {"data_format": "channels_first"}
    row, x = L.Input((4, 11), name="row"), L.Input((4, 6, 5), name="x")
    volume = L.Input((2, 4, 5, 3), name="volume")
    films = L.Input((3, 2, 5), name="films")
    rows = all_on(
        row,
        L.Conv1D(2, 3, padding="causal", dilation_rate=2, name="conv1", **first),
        L.SeparableConv1D(2, 3, activation="softmax", name="separable1", **first),
        L.DepthwiseConv1D(3, 2, name="depthwise1", **first),
        L.Conv1DTranspose(3, 3, 2, "same", name="transposed1", **first),
        L.MaxPooling1D(2, name="max1", **first),
        L.AveragePooling1D(2, name="avg1", **first),
        L.GlobalAveragePooling1D(keepdims=True, name="global1", **first),
        L.ZeroPadding1D((1, 2), name="pad1", **first),
        L.AdaptiveMaxPooling1D(2, name="adaptive1", **first),
    )
    images = all_on(
        x,
        L.Conv2D(2, 3, 2, "same", activation="softmax", name="conv", **first),
        L.Conv2D(4, 2, groups=2, use_bias=False, name="grouped", **first),
        L.SeparableConv2D(3, 2, name="separable", **first),
        L.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise", **first),
        L.Conv2DTranspose(
            3, (3, 2), (2, 1), activation="glu", name="transposed", **first
        ),
        L.MaxPooling2D(2, name="max", **first),
        L.AveragePooling2D(3, 2, "same", name="avg", **first),
        L.GlobalMaxPooling2D(name="global_max", **first),
        L.GlobalAveragePooling2D(keepdims=True, name="global_avg", **first),
        L.AdaptiveAveragePooling2D((2, 3), name="adaptive", **first),
        L.ZeroPadding2D(((0, 1), (2, 0)), name="pad", **first),
        L.Cropping2D(((0, 1), (2, 0)), name="crop", **first),
        L.UpSampling2D((2, 3), name="up", **first),
        L.UpSampling2D(2, interpolation="bicubic", name="up_bicubic", **first),
        L.Flatten(name="flatten", **first),
        L.SpatialDropout2D(0.5, name="spatial", **first),
        L.Resizing(3, 4, crop_to_aspect_ratio=True, name="resizing", **first),
        L.Resizing(4, 8, "bicubic", antialias=True, name="bicubic", **first),
        L.CenterCrop(3, 2, name="center", **first),
        L.BatchNormalization(axis=1, name="batch"),
        L.GroupNormalization(2, axis=1, name="group"),
    )
    volumes = all_on(
        volume,
        L.Conv3D(3, 2, name="conv3", **first),
        L.Conv3DTranspose(3, 2, 2, name="transposed3", **first),
        L.MaxPooling3D(2, name="max3", **first),
        L.ZeroPadding3D(1, name="pad3", **first),
        L.Cropping3D(((0, 1), (2, 0), (0, 0)), name="crop3", **first),
        L.UpSampling3D(2, name="up3", **first),
        L.GlobalAveragePooling3D(name="global3", **first),
    )
    recurrent = all_on(
        films,
        L.ConvLSTM1D(2, 2, return_sequences=True, name="rows", **first),
        L.ConvLSTM1D(2, 3, padding="same", name="last", **first),
    )
    inputs = {"row": row, "x": x, "volume": volume, "films": films}
    return inputs, rows | images | volumes | recurrent


@model
def dilated_transposed():
    """Transposed convolutions with dilation, which TensorFlow does not have on CPU."""
    row, x = L.Input((5, 2), name="row"), L.Input((5, 4, 2), name="x")
    rows = all_on(
        row,
        L.Conv1DTranspose(3, 3, dilation_rate=2, name="row_valid"),
        L.Conv1DTranspose(3, 3, padding="same", dilation_rate=2, name="row_same"),
    )
    images = all_on(
        x,
        L.Conv2DTranspose(3, 3, padding="same", dilation_rate=2, name="same"),
        L.Conv2DTranspose(3, (3, 2), dilation_rate=(2, 3), name="valid"),
    )
    return {"row": row, "x": x}, rows | images


@model
def spectral():
    """In training, kernels are normalized, and their singular vectors are updated."""
    x = L.Input((4, 6), name="x")
    y = L.SpectralNormalization(L.Dense(3, activation="tanh"), power_iterations=2)(x)
    return x, {"y": L.SpectralNormalization(L.Conv1D(3, 2, use_bias=False))(y)}


@model
def attention_variants():
    x, y = L.Input((6, 8), name="x"), L.Input((5, 8), name="y")
    image = L.Input((3, 4, 8), name="image")
    pairs = L.Input((3, 4, 3, 4), dtype="bool", name="pairs")
    gated = L.MultiHeadAttention(2, 4, value_dim=3, use_gate=True)
    both = L.MultiHeadAttention(2, 4, attention_axes=(1, 2))
    outputs = {
        "gated": list(gated(x, y, return_attention_scores=True)),
        "gated_grouped": L.GroupQueryAttention(4, 4, 2, use_gate=True)(x, y),
        "no_bias": L.MultiHeadAttention(2, 4, use_gate=True, use_bias=False)(x, x),
        "shape": L.MultiHeadAttention(2, 4, output_shape=(3, 5))(x, y),
        "pairs": list(
            both(image, image, attention_mask=pairs, return_attention_scores=True)
        ),
        "rows": list(
            L.MultiHeadAttention(2, 4, attention_axes=1)(
                image, image, return_attention_scores=True
            )
        ),
    }
    return {"x": x, "y": y, "image": image, "pairs": pairs}, outputs


@model
def bidirectional():
    """`Bidirectional` around several layers, with every merge mode."""
    x, rows = L.Input((4, 3), name="x"), L.Input((3, 5, 2), name="rows")
    cells = L.RNN([L.GRUCell(3), L.LSTMCell(2)], return_sequences=True)
    outputs = {
        "cells": L.Bidirectional(cells)(x),
        "images": L.Bidirectional(L.ConvLSTM1D(2, 3), merge_mode="sum")(rows),
    }
    for mode in ("sum", "mul", "ave", "concat", None):
        layer = L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=mode)
        outputs[f"{mode}"] = layer(x)
    states = L.Bidirectional(L.LSTM(2, return_state=True))
    h = L.Dense(2, name="h")(x[:, 0])
    outputs["states"] = list(states(x, initial_state=[h, h, h, h]))
    inner = L.RNN(L.LSTMCell(2), return_state=True, go_backwards=True)
    outputs["inner"] = list(inner(x, initial_state=[h, h]))
    return {"x": x, "rows": rows}, outputs


@model
def renormalized():
    x = L.Input((4, 5), name="x")
    clip = {"rmin": 0.5, "rmax": 1.5, "dmax": 0.25}
    y = L.BatchNormalization(renorm=True, momentum=0.75)(x)
    y = L.BatchNormalization(
        renorm=True, renorm_clipping=clip, renorm_momentum=0.5, scale=False
    )(y)
    return x, {"y": y, "plain": L.BatchNormalization(epsilon=0.5)(y)}


@model
def tiles_of_histograms():
    """The sizes are exact in float32, in which Keras computes."""
    x = L.Input((7, 8, 2), name="x")
    equalized = L.ContrastLimitedAdaptiveHistogramEqualization
    y = L.Rescaling(64.0, offset=128.0)(x)
    return x, {
        "limited": equalized(tile_grid_size=(4, 2), clip_limit=16.0)(y),
        "free": equalized(tile_grid_size=(1, 4), clip_limit=0.0)(y) + x,
    }
