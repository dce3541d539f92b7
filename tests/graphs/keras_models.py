"""Keras models that together contain every class of the table, many layers in each.

Each function returns inputs and a dictionary of outputs, named by what they check.
"""

from lazily import Lazily, keras

L, K = Lazily("keras.layers"), Lazily("keras.ops")
MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


def all_on(x, *layers):
    """Apply each layer to the same input."""
    return {f"{layer.name}": layer(x) for layer in layers}


@model
def dense_and_activations():
    x = L.Input((4, 6), name="x")
    outputs = all_on(
        x,
        L.Dense(5, activation="gelu", name="dense"),
        L.Dense(3, use_bias=False, name="no_bias"),
        L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", name="einsum"),
        L.EinsumDense(
            "...x,xy->...y", (7,), bias_axes="y", activation="relu", name="dots"
        ),
        L.EinsumDense("abc,bcde->ade", (2, 3), bias_axes="de", name="many"),
        L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2, name="relu"),
        L.ReLU(name="plain_relu"),
        L.LeakyReLU(negative_slope=0.25, name="leaky"),
        L.ELU(alpha=0.7, name="elu"),
        L.PReLU(alpha_initializer="he_normal", name="prelu"),
        L.PReLU(shared_axes=[1], alpha_initializer="ones", name="prelu_shared"),
        L.Softmax(axis=1, name="softmax"),
        L.Softmax(axis=(1, 2), name="softmax_of_two"),
        L.Identity(name="identity"),
        L.ActivityRegularization(l1=0.1, l2=0.2, name="activity"),
        L.Rescaling(2.0, offset=-1.0, name="rescaling"),
        L.Rescaling([1.0, 2, 3, 4, 5, 6], name="rescaling_each"),
        L.Normalization(mean=[1.0] * 6, variance=[4.0] * 6, name="normalization"),
        L.Normalization(axis=None, mean=1.0, variance=4.0, name="normalization_all"),
        L.Normalization(mean=1.0, variance=4.0, invert=True, name="inverted"),
        L.Flatten(name="flatten"),
        L.Dense(2, activation=L.LeakyReLU(negative_slope=0.3), name="layer_inside"),
    )
    for name in NAMED:
        outputs[f"act_{name}"] = L.Activation(name, name=f"act_{name}")(x)
    adapted = L.Normalization(name="adapted")
    adapted.build((None, 4, 6))
    outputs["adapted"] = adapted(x)
    return x, outputs


NAMED = """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh
leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink
softmax softplus softsign sparse_plus sparse_sigmoid squareplus tanh
tanh_shrink""".split()


@model
def images():
    x = L.Input((9, 8, 4), name="x")
    return x, all_on(
        x,
        L.Conv2D(6, 3, name="conv"),
        L.Conv2D(6, (3, 2), 2, "same", activation="relu", name="strided"),
        L.Conv2D(6, 3, dilation_rate=2, groups=2, use_bias=False, name="grouped"),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise"),
        L.DepthwiseConv2D(3, 2, use_bias=False, name="depthwise_strided"),
        L.SeparableConv2D(5, 3, depth_multiplier=2, name="separable"),
        L.SeparableConv2D(5, 3, 2, "same", activation="silu", name="separable2"),
        L.Conv2DTranspose(5, 3, name="transposed"),
        L.Conv2DTranspose(5, 3, 2, "same", name="transposed_same"),
        L.Conv2DTranspose(5, (2, 1), (3, 4), name="transposed_wide"),
        L.Conv2DTranspose(5, 2, 3, "same", name="transposed_wide_same"),
        L.Conv2DTranspose(5, 4, 2, "same", output_padding=1, name="output_padding"),
        L.Conv2DTranspose(5, 3, (3, 2), output_padding=(2, 1), name="out_valid"),
        L.MaxPooling2D(name="max"),
        L.MaxPooling2D(3, 2, "same", name="max_same"),
        L.AveragePooling2D((2, 3), name="avg"),
        L.AveragePooling2D(3, 2, "same", name="avg_same"),
        L.GlobalMaxPooling2D(name="global_max"),
        L.GlobalAveragePooling2D(keepdims=True, name="global_avg"),
        L.AdaptiveMaxPooling2D((4, 3), name="adaptive_max"),
        L.AdaptiveAveragePooling2D(3, name="adaptive_avg"),
        L.ZeroPadding2D(((0, 1), (2, 0)), name="pad"),
        L.Cropping2D(((1, 2), (0, 3)), name="crop"),
        L.UpSampling2D((2, 3), name="up"),
        L.UpSampling2D(2, interpolation="bilinear", name="up_bilinear"),
        L.Flatten(name="flatten"),
        L.Reshape((-1, 8), name="reshape"),
        L.Permute((3, 1, 2), name="permute"),
        L.BatchNormalization(name="batch"),
        L.BatchNormalization(axis=1, momentum=0.8, epsilon=0.1, name="batch_rows"),
        L.BatchNormalization(scale=False, name="no_scale"),
        L.BatchNormalization(center=False, name="no_center"),
        L.LayerNormalization(name="layer"),
        L.LayerNormalization(axis=(1, 3), epsilon=0.01, name="layer_axes"),
        L.LayerNormalization(rms_scaling=True, name="layer_rms"),
        L.LayerNormalization(center=False, scale=False, name="layer_plain"),
        L.RMSNormalization(name="rms"),
        L.GroupNormalization(2, name="group"),
        L.GroupNormalization(-1, name="instance"),
        L.GroupNormalization(3, axis=1, name="group_rows"),
        L.UnitNormalization(axis=(1, 2), name="unit"),
        L.Dropout(0.5, name="dropout"),
        L.SpatialDropout2D(0.5, name="spatial"),
    )


@model
def sequences():
    x = L.Input((9, 4), name="x")
    flat = L.GlobalAveragePooling1D(name="flat")(x)
    outputs = all_on(
        x,
        L.Conv1D(6, 3, padding="causal", dilation_rate=2, name="causal"),
        L.Conv1D(6, 4, 2, "same", name="conv"),
        L.Conv1D(6, 3, groups=2, name="grouped"),
        L.DepthwiseConv1D(3, 2, "same", depth_multiplier=2, name="depthwise"),
        L.SeparableConv1D(5, 3, padding="same", name="separable"),
        L.Conv1DTranspose(5, 3, 2, "same", name="transposed"),
        L.Conv1DTranspose(5, 2, 3, name="transposed_wide"),
        L.Conv1DTranspose(5, 2, 3, "same", name="transposed_wide_same"),
        L.Conv1DTranspose(5, 3, 2, output_padding=1, name="output_padding"),
        L.MaxPooling1D(3, 2, "same", name="max"),
        L.AveragePooling1D(2, name="avg"),
        L.GlobalMaxPooling1D(keepdims=True, name="global_max"),
        L.AdaptiveMaxPooling1D(4, name="adaptive_max"),
        L.AdaptiveAveragePooling1D(4, name="adaptive_avg"),
        L.ZeroPadding1D((1, 2), name="pad"),
        L.Cropping1D((1, 2), name="crop"),
        L.UpSampling1D(3, name="up"),
        L.GroupNormalization(2, name="group"),
        L.BatchNormalization(name="batch"),
        L.SpatialDropout1D(0.5, name="spatial"),
        L.AlphaDropout(0.5, name="alpha"),
        L.GaussianDropout(0.5, name="gaussian_dropout"),
        L.GaussianNoise(0.5, name="noise"),
        L.TimeDistributed(L.Dense(3), name="time_distributed"),
        L.TimeDistributed(L.Reshape((2, 2)), name="time_reshape"),
        L.UnitNormalization(name="unit"),
    )
    outputs["repeat"] = L.RepeatVector(3, name="repeat")(flat)
    outputs["group_of_vectors"] = L.GroupNormalization(2)(flat)
    return x, outputs


@model
def volumes():
    x = L.Input((5, 6, 4, 2), name="x")
    return x, all_on(
        x,
        L.Conv3D(4, 3, padding="same", name="conv"),
        L.Conv3D(4, 2, 2, groups=2, name="strided"),
        L.Conv3DTranspose(3, 3, 2, "same", name="transposed"),
        L.MaxPooling3D(name="max"),
        L.MaxPooling3D(3, 2, "same", name="max_same"),
        L.AveragePooling3D(2, 1, "same", name="avg"),
        L.GlobalMaxPooling3D(name="global_max"),
        L.GlobalAveragePooling3D(name="global_avg"),
        L.AdaptiveMaxPooling3D(2, name="adaptive_max"),
        L.AdaptiveAveragePooling3D(2, name="adaptive_avg"),
        L.ZeroPadding3D(((0, 1), (1, 0), (2, 1)), name="pad"),
        L.Cropping3D(((0, 1), (1, 0), (2, 1)), name="crop"),
        L.UpSampling3D(2, name="up"),
        L.GroupNormalization(2, name="group"),
        L.SpatialDropout3D(0.5, name="spatial"),
    )


@model
def merging():
    a, b = L.Input((4, 3), name="a"), L.Input((4, 3), name="b")
    c = L.Input((3,), name="c")
    outputs = {
        name: getattr(L, name)(name=name)([a, b, a])
        for name in ("Add", "Multiply", "Maximum", "Minimum", "Average", "Concatenate")
    }
    outputs["Subtract"] = L.Subtract()([a, b])
    outputs["ranks"] = L.Add()([a, c])
    outputs["joined"] = L.Concatenate(axis=1)([a, b])
    outputs["dot"] = L.Dot(axes=(2, 2))([a, b])
    outputs["dot_rows"] = L.Dot(axes=1, normalize=True)([a, b])
    outputs["dot_vector"] = L.Dot(axes=-1)([a, c])
    outputs["dot_vectors"] = L.Dot(axes=1, normalize=True)([c, c])
    return {"a": a, "b": b, "c": c}, outputs


@model
def recurrent():
    x = L.Input((6, 4), name="x")
    h = L.Dense(5, name="h")(L.GlobalAveragePooling1D(name="m")(x))
    outputs = all_on(
        x,
        L.LSTM(5, name="lstm"),
        L.LSTM(5, return_sequences=True, go_backwards=True, name="backwards"),
        L.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid", name="lstm2"),
        L.LSTM(3, use_bias=False, unit_forget_bias=False, name="lstm_no_bias"),
        L.GRU(5, return_sequences=True, name="gru"),
        L.GRU(5, reset_after=False, name="gru_before"),
        L.GRU(3, activation="elu", name="gru_elu"),
        L.GRU(3, activation="elu", reset_after=False, name="gru_elu_before"),
        L.SimpleRNN(5, return_sequences=True, name="simple"),
        L.SimpleRNN(5, activation="relu", use_bias=False, name="simple_relu"),
        L.LSTM(4, dropout=0.4, recurrent_dropout=0.3, name="dropping"),
        L.Bidirectional(L.LSTM(3, return_sequences=True), name="both"),
        L.Bidirectional(L.GRU(3), merge_mode="sum", name="both_sum"),
        L.Bidirectional(L.SimpleRNN(3), merge_mode="mul", name="both_mul"),
        L.Bidirectional(
            L.LSTM(3),
            backward_layer=L.GRU(3, go_backwards=True),
            merge_mode="ave",
            name="both_ave",
        ),
        L.RNN(L.LSTMCell(3), name="rnn"),
        L.RNN([L.LSTMCell(3), L.GRUCell(2), L.LSTMCell(4)], name="stacked"),
        L.RNN(L.SimpleRNNCell(3), return_sequences=True, name="rnn_simple"),
    )
    outputs["state"] = list(L.LSTM(5, return_state=True)(x, initial_state=[h, h]))
    for kind, states in ((L.LSTM, [h, h]), (L.GRU, h), (L.SimpleRNN, h)):
        layer = kind(5, go_backwards=True, name=f"back_{kind.__name__.lower()}")
        outputs[layer.name] = layer(x, initial_state=states)
    outputs["gru_state"] = list(L.GRU(5, return_state=True)(x, initial_state=h))
    outputs["two"] = list(L.Bidirectional(L.GRU(3), merge_mode=None)(x))
    two = L.Bidirectional(L.LSTM(3, return_state=True, return_sequences=True))
    outputs["states"] = list(two(x))
    return x, outputs


@model
def masked():
    token = L.Input((7,), dtype="int32", name="token")
    other = L.Input((7, 6), name="other")
    x = L.Embedding(9, 6, mask_zero=True, name="tokens")(token)
    m = L.Masking(0.0, name="masking")(other)
    kept = L.LayerNormalization(name="norm")(L.Dropout(0.1)(L.Dense(6)(x)))
    outputs = {
        "lstm": L.LSTM(4)(kept),
        "gru": L.GRU(4, return_sequences=True, go_backwards=True)(kept),
        "gru_elu": L.GRU(4, return_sequences=True, activation="elu")(x),
        "simple": L.SimpleRNN(4, return_sequences=True)(m),
        "zeros": L.LSTM(4, return_sequences=True, zero_output_for_mask=True)(x),
        "both": L.Bidirectional(L.LSTM(4, return_sequences=True))(x),
        "both_last": L.Bidirectional(L.GRU(4))(m),
        "stacked": L.RNN([L.GRUCell(3), L.LSTMCell(2)], return_sequences=True)(x),
        "pooled": L.GlobalAveragePooling1D()(x),
        "attention": L.Attention()([x, m]),
        "additive": L.AdditiveAttention()([m, x]),
        "sum": L.LSTM(3)(L.Add()([x, m])),
        "product": L.LSTM(3)(L.Multiply()([x, m])),
        "largest": L.LSTM(3)(L.Maximum()([x, m])),
        "one_masked": L.LSTM(3)(L.Multiply()([x, other])),
        "joined": L.LSTM(3)(L.Concatenate()([x, m])),
        "after_lstm": L.GRU(3)(L.LSTM(4, return_sequences=True)(x)),
        "distributed": L.LSTM(3)(L.TimeDistributed(L.Dense(3))(x)),
        "batch": L.BatchNormalization()(x),
        "lost": L.LSTM(3)(L.Conv1D(3, 3, padding="same")(x)),
        "softmax": L.LSTM(3)(L.Activation("softmax")(x)),
        "loose": L.Embedding(9, 3)(token),
    }
    return {"token": token, "other": other}, outputs


@model
def masked_attention():
    """Attention removes the masks of its inputs for all later layers."""
    token = L.Input((7,), dtype="int32", name="token")
    other = L.Input((7, 6), name="other")
    x = L.Embedding(9, 6, mask_zero=True, name="one")(token)
    y = L.Embedding(9, 6, mask_zero=True, name="two")(token)
    attended = L.MultiHeadAttention(2, 4)(x, x)
    given = {"query": y, "value": L.Masking()(inputs=other)}  # by name
    crossed = L.MultiHeadAttention(2, 4)(**given, use_causal_mask=True)
    outputs = {
        "after": L.GRU(3)(sequences=attended),
        "residual": L.GRU(3)(L.LayerNormalization()(L.Add()([x, attended]))),
        "cross": crossed,
    }
    return {"token": token, "other": other}, outputs


@model
def attention():
    x, y = L.Input((6, 8), name="x"), L.Input((5, 8), name="y")
    image = L.Input((3, 4, 8), name="image")
    pairs = L.Input((6, 5), dtype="bool", name="pairs")
    scores = L.MultiHeadAttention(2, 4, value_dim=3)
    outputs = {
        "self": L.MultiHeadAttention(2, 4)(x, x),
        "causal": L.MultiHeadAttention(2, 4, use_bias=False)(
            x, x, use_causal_mask=True
        ),
        "cross": L.MultiHeadAttention(2, 4, output_shape=5)(x, y, key=y),
        "pairs": L.MultiHeadAttention(2, 4)(x, y, attention_mask=pairs),
        "scores": list(scores(x, y, return_attention_scores=True)),
        "window": L.MultiHeadAttention(2, 4, sliding_window=2)(x, x),
        "dropping": L.MultiHeadAttention(2, 4, dropout=0.3)(x, x),
        "image": L.MultiHeadAttention(2, 4)(image, image),
        "columns": L.MultiHeadAttention(2, 4, attention_axes=(2,))(image, image),
        "rows": L.MultiHeadAttention(2, 4, attention_axes=(1,))(image, image),
        "grouped": L.GroupQueryAttention(4, 4, 2)(x, y),
        "grouped_causal": L.GroupQueryAttention(4, 4, 1)(x, x, use_causal_mask=True),
        "dot": L.Attention(use_scale=True)([x, y]),
        "concat": L.Attention(use_scale=True, score_mode="concat")([x, y, y]),
        "plain": L.Attention()([x, y], use_causal_mask=True),
        "additive": L.AdditiveAttention(use_scale=False)([x, y]),
        "additive_scale": L.AdditiveAttention()([x, y, y]),
        "weights": list(L.Attention()([x, y], return_attention_scores=True)),
    }
    return {"x": x, "y": y, "image": image, "pairs": pairs}, outputs


@model
def operations():
    x, y = L.Input((4, 6), name="x"), L.Input((6,), name="y")
    p = K.exp(0.1 * x)
    outputs = {name: getattr(K, name)(p) for name in ELEMENTWISE}
    outputs |= {name: getattr(K, name)(x, p) for name in PAIRS}
    outputs |= {name: getattr(K, name)(x, axis=1) for name in REDUCTIONS}
    outputs |= {
        "arithmetic": (x + y[:, None]) * 2.0 - p / 3.0 + 1.0 / p + (-x) ** 2,
        "matmul": K.matmul(x, K.transpose(x, (0, 2, 1))),
        "einsum": K.einsum("bij,bj->bi", x, y),
        "reshape": K.reshape(x, (-1, 2, 12)),
        "concatenate": K.concatenate([x, p], axis=-1),
        "stack": K.stack([x, p], axis=1),
        "split": K.split(x, 3, axis=-1),
        "unstack": K.unstack(x, axis=1),
        "item": x[:, 1:3, ::2],
        "one": x[:, -1],
        "dots": x[..., None, 0],
        "where": K.where(x > 0, x, K.zeros_like(x)),
        "clip": K.clip(x, -0.5, 0.5),
        "cast": K.cast(K.cast(x, "int32"), "float32"),
        "expand": K.squeeze(K.expand_dims(x, 1), 1),
        "repeat": K.repeat(x, 2, axis=1),
        "tile": K.tile(x, (1, 2, 1)),
        "pad": K.pad(x, ((0, 0), (1, 2), (0, 1))),
        "flip": K.flip(x, axis=1),
        "roll": K.roll(x, 2, axis=1),
        "swap": K.swapaxes(x, 1, 2),
        "move": K.moveaxis(x, 1, 2),
        "softmax": K.softmax(x, axis=1),
        "gelu": K.gelu(x),
        "leaky": K.leaky_relu(x),
        "normalize": K.normalize(x, axis=1),
        "norm": K.norm(x, axis=-1),
        "one_hot": K.one_hot(K.argmax(x, axis=-1), 6),
        "top": list(K.top_k(x, 2)),
        "tril": K.tril(x),
        "cumsum": K.cumsum(x, axis=1),
        "logsumexp": K.logsumexp(x, axis=1),
        "keepdims": K.sum(x, axis=(1, 2), keepdims=True),
        "take": K.take(x, [2, 0], axis=1),
    }
    return {"x": x, "y": y}, outputs


ELEMENTWISE = """abs arctan ceil cos cosh erf exp expm1 floor hard_sigmoid hard_silu
hard_tanh log log10 log1p log2 log_sigmoid negative reciprocal relu relu6 rsqrt selu
sigmoid sign silu sin sinh softplus softsign sqrt square stop_gradient tan
tanh""".split()
PAIRS = """add divide divide_no_nan equal floor_divide greater greater_equal less
less_equal maximum minimum mod multiply not_equal subtract
true_divide""".split()
REDUCTIONS = "max mean min prod std sum var argmax argmin".split()


@model
def augmentation():
    """All ranges are single points."""
    x = L.Input((11, 13, 3), name="x")
    return x, all_on(
        x,
        L.RandomFlip(name="flip"),
        L.RandomRotation((0.1, 0.1), name="rotate"),
        L.RandomRotation(
            (0.2, 0.2), fill_mode="constant", fill_value=9.0, name="rotate_into_fill"
        ),
        L.RandomRotation(
            (0.2, 0.2), "nearest", interpolation="nearest", name="rotate_to_nearest"
        ),
        L.RandomTranslation((0.25, 0.25), (-0.4, -0.4), name="translate"),
        L.RandomTranslation((2 / 11,) * 2, (3 / 13,) * 2, "wrap", name="wrap"),
        L.RandomZoom((0.3, 0.3), name="zoom"),
        L.RandomZoom((0.3, 0.3), (-0.2, -0.2), fill_mode="constant", name="zoom_two"),
        L.RandomShear(0.3, (0.1, 0.2), name="shear"),
        L.RandomPerspective(name="perspective"),
        L.RandomCrop(6, 7, name="crop"),
        L.RandomCrop(20, 9, name="crop_small"),
        L.RandomElasticTransform(scale=(1.0, 1.0), name="elastic"),
        L.RandomErasing(0.7, name="erase"),
        L.CutMix(name="cut_mix"),
        L.MixUp(name="mix_up"),
        L.RandomBrightness((0.2, 0.2), name="brightness"),
        L.RandomContrast((0.25, 0.75), name="contrast"),
        L.RandomSaturation((0.7, 0.7), name="saturation"),
        L.RandomSaturation((0.3, 0.3), name="saturation_less"),
        L.RandomHue((0.5, 0.5), name="hue"),
        L.RandomColorJitter(
            brightness_factor=(0.1, 0.1), saturation_factor=(0.3, 0.3), name="jitter"
        ),
        L.RandomColorDegeneration((0.4, 0.4), name="degeneration"),
        L.RandomGrayscale(1.0, name="grayscale"),
        L.RandomInvert((1.0, 1.0), name="invert"),
        L.RandomPosterization((3, 3), name="posterization"),
        L.RandomSharpness((0.8, 0.8), name="sharpness"),
        L.RandomGaussianBlur((1.0, 1.0), 5, (0.8, 0.8), name="blur"),
        L.Solarization(name="solarization"),
        L.AutoContrast(name="auto_contrast"),
        L.Pipeline(
            [L.RandomBrightness((0.1, 0.1)), L.Equalization(bins=64), L.Rescaling(2.0)],
            name="pipeline",
        ),
        L.RandomZoom((0.3, 0.3), data_format="channels_first", name="zoom_first"),
        L.RandAugment(name="rand_augment"),
        L.AugMix(name="aug_mix"),
        L.MaxNumBoundingBoxes(5, name="boxes"),
    )


@model
def graphs():
    """A layer that is used twice, nested models, nested structures, reserved names."""
    a, b = L.Input((8,), name="a"), L.Input((8,), name="b")
    tower = keras.Sequential([L.Input((8,)), L.Dense(6), L.BatchNormalization()])
    inner_in = {"u": L.Input((6,), name="u"), "v": L.Input((6,), name="v")}
    shared = L.Dense(6, activation="tanh", name="apply")  # a name that Linen reserves
    mixed = shared(inner_in["u"]) + shared(inner_in["v"])
    inner = keras.Model(inner_in, [mixed, L.Dense(2)(mixed)], name="graph")
    frozen = L.Dense(6, name="frozen", trainable=False)
    one, two = tower(a), tower(b)
    x, small = inner({"u": one, "v": frozen(two)})
    again, _ = inner({"u": two, "v": one})
    x = L.Dense(6, name="spec")(L.Add()([x, again, one]))
    skip = keras.Sequential([L.Dense(6, name="dense_in"), L.Dropout(0.5)], name="s")
    return [a, {"b": b}], {"x": x, "rest": [small, (skip(x), two)]}


@model
def penalties():
    x = L.Input((5,), name="x")
    y = L.Dense(
        4,
        kernel_regularizer="l2",
        bias_regularizer=keras.regularizers.L1(0.3),
        activity_regularizer=keras.regularizers.L1L2(0.1, 0.2),
        kernel_constraint=keras.constraints.MaxNorm(1.0),
        name="limited",
    )(x)
    y = L.Dense(4, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.5))(y)
    fixed = L.Dense(3, kernel_regularizer="l1", trainable=False, name="fixed")
    y = L.ActivityRegularization(0.1)(fixed(y))
    y = L.BatchNormalization(gamma_regularizer="l2", trainable=False)(y)
    return x, {"y": L.BatchNormalization(gamma_regularizer="l2")(y)}


@model
def statistics_of_steps():
    x = L.Input((4, 5), name="x")
    y = L.TimeDistributed(L.BatchNormalization(momentum=0.5))(x)
    inner = keras.Sequential([L.Input((5,)), L.Dense(3), L.BatchNormalization()])
    return x, {"y": y, "z": L.TimeDistributed(inner)(y)}
