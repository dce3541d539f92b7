"""Keras with `compile` and `fit`, on the backend named by `KERAS_BACKEND`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from bench.speed.applications import application
from bench.speed.networks import SMALL_RESNET_STAGES, UNET_FEATURES
from bench.speed.twin import (
    BETA_1,
    BETA_2,
    EPSILON,
    LEARNING_RATE,
    Arrays,
    Precision,
    Step,
)


def _mlp() -> Any:
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="dense1"),
            layers.Dense(10, name="head"),
        ]
    )


def _cnn() -> Any:
    convolve = lambda features, name: layers.Conv2D(
        features, 3, activation="relu", name=name
    )
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            convolve(32, "conv1"),
            layers.MaxPooling2D(),
            convolve(64, "conv2"),
            layers.MaxPooling2D(),
            convolve(64, "conv3"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, name="head"),
        ]
    )


def _recurrent(kind: Any) -> Any:
    layer = kind(128, name="layer1")
    return keras.Sequential(
        [layers.Input((28, 28)), layer, layers.Dense(10, name="head")]
    )


class _Position(layers.Layer):
    def build(self, shape: Any) -> None:
        self.embedding = self.add_weight(shape=shape[1:], name="embedding")

    def call(self, x: Any) -> Any:
        return x + self.embedding


def _transformer() -> Any:
    image = layers.Input((28, 28, 1))
    x = layers.Permute((1, 3, 2, 4))(layers.Reshape((4, 7, 4, 7))(image))
    x = layers.Dense(64, name="patch")(layers.Reshape((16, 49))(x))
    x = _Position(name="position")(x)
    for block in range(1, 5):
        name = f"encoder_block{block}"
        y = layers.LayerNormalization(name=f"{name}_attention_norm")(x)
        attention = layers.MultiHeadAttention(4, 16, name=f"{name}_attention")
        x = layers.Add()([x, attention(y, y)])
        y = layers.LayerNormalization(name=f"{name}_dense_norm")(x)
        y = layers.Dense(128, activation="gelu", name=f"{name}_dense1")(y)
        x = layers.Add()([x, layers.Dense(64, name=f"{name}_dense2")(y)])
    x = layers.LayerNormalization(name="encoder_norm")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, layers.Dense(10, name="head")(x))


class _Bound(layers.Layer):
    def call(self, logits: Any, mean: Any, logvar: Any, image: Any) -> Any:
        nll = keras.losses.binary_crossentropy(image, logits, from_logits=True)
        kl = -0.5 * ops.sum(1 + logvar - mean**2 - ops.exp(logvar), axis=1)
        self.add_loss(ops.mean(784.0 * nll + kl))
        return logits


def _vae() -> Any:
    image, noise = layers.Input((28, 28, 1)), layers.Input((20,))
    flat = layers.Flatten()(image)
    h = layers.Dense(400, activation="relu", name="encoder_dense1")(flat)
    h = layers.Dense(400, activation="relu", name="encoder_dense2")(h)
    mean = layers.Dense(20, name="mean")(h)
    logvar = layers.Dense(20, name="logvar")(h)
    z = mean + ops.exp(0.5 * logvar) * noise
    h = layers.Dense(400, activation="relu", name="decoder_dense1")(z)
    h = layers.Dense(400, activation="relu", name="decoder_dense2")(h)
    logits = layers.Dense(784, name="decoder_head")(h)
    return keras.Model([image, noise], _Bound()(logits, mean, logvar, flat))


class _DCGAN(keras.Model):
    """Two models with a custom training step, as in TensorFlow's tutorial."""

    def __init__(self) -> None:
        super().__init__(name="dcgan")
        up = lambda features, **options: layers.Conv2DTranspose(
            features, 4, 2, padding="same", **options
        )
        convolve = lambda features, name: layers.Conv2D(
            features, 4, 2, padding="same", name=name
        )
        self.generator = keras.Sequential(
            [
                layers.Input((64,)),
                layers.Dense(49 * 64, use_bias=False, name="dense"),
                layers.Reshape((7, 7, 64)),
                layers.BatchNormalization(name="norm1"),
                layers.ReLU(),
                up(32, use_bias=False, name="conv1"),
                layers.BatchNormalization(name="norm2"),
                layers.ReLU(),
                up(1, activation="tanh", name="conv2"),
            ],
            name="generator",
        )
        self.discriminator = keras.Sequential(
            [
                layers.Input((28, 28, 1)),
                convolve(32, "conv1"),
                layers.LeakyReLU(0.2),
                convolve(64, "conv2"),
                layers.LeakyReLU(0.2),
                layers.Flatten(),
                layers.Dense(1, name="head"),
            ],
            name="discriminator",
        )
        adam = lambda: keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)
        self.judging, self.making = adam(), adam()
        self.judging.build(self.discriminator.trainable_variables)
        self.making.build(self.generator.trainable_variables)
        self.cross = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.generator(inputs[1], training=training)

    def train_step(self, *arguments: Any) -> Any:
        match keras.backend.backend():
            case "jax":
                return self._jax_step(*arguments)
            case "torch":
                return self._torch_step(*arguments)
        return self._tensorflow_step(*arguments)

    def _loss(self, logits: Any, label: float) -> Any:
        return self.cross(ops.full_like(logits, label), logits)

    def _tensorflow_step(self, data: Any) -> Any:
        import tensorflow as tf

        image, first, second = keras.utils.unpack_x_y_sample_weight(data)[0]
        real, fake = 2 * image - 1, self.generator(first, training=True)
        with tf.GradientTape() as tape:
            d_loss = self._loss(self.discriminator(real, training=True), 1.0)
            d_loss += self._loss(self.discriminator(fake, training=True), 0.0)
        variables = self.discriminator.trainable_variables
        self.judging.apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            fake = self.generator(second, training=True)
            g_loss = self._loss(self.discriminator(fake, training=True), 1.0)
        variables = self.generator.trainable_variables
        self.making.apply(tape.gradient(g_loss, variables), variables)
        return {"discriminator_loss": d_loss, "generator_loss": g_loss}

    def _torch_step(self, data: Any) -> Any:
        import torch

        def update(optimizer: Any, model: Any, loss: Any) -> None:
            self.zero_grad()
            loss.backward()
            variables = model.trainable_variables
            with torch.no_grad():
                optimizer.apply([v.value.grad for v in variables], variables)

        image, first, second = keras.utils.unpack_x_y_sample_weight(data)[0]
        with torch.no_grad():
            fake = self.generator(first, training=True)
        d_loss = self._loss(self.discriminator(2 * image - 1, training=True), 1.0)
        d_loss = d_loss + self._loss(self.discriminator(fake, training=True), 0.0)
        update(self.judging, self.discriminator, d_loss)
        fake = self.generator(second, training=True)
        g_loss = self._loss(self.discriminator(fake, training=True), 1.0)
        update(self.making, self.generator, g_loss)
        return {"discriminator_loss": d_loss, "generator_loss": g_loss}

    def _jax_step(self, state: Any, data: Any) -> Any:
        import jax

        trained, kept, slots, metrics = state
        image, first, second = keras.utils.unpack_x_y_sample_weight(data)[0]
        count = len(self.generator.trainable_variables)
        making, judging = trained[:count], trained[count:]
        generate = lambda making, latent: self.generator.stateless_call(
            making, kept, latent, training=True
        )
        judge = lambda judging, x: self.discriminator.stateless_call(
            judging, [], x, training=True
        )[0]

        def d_loss(judging: Any) -> Any:
            loss = self._loss(judge(judging, 2 * image - 1), 1.0)
            return loss + self._loss(judge(judging, generate(making, first)[0]), 0.0)

        lost, gradients = jax.value_and_grad(d_loss)(judging)
        half = len(self.judging.variables)
        judging, d_slots = self.judging.stateless_apply(
            slots[:half], gradients, judging
        )

        def g_loss(making: Any) -> Any:
            fake, kept = generate(making, second)
            return self._loss(judge(judging, fake), 1.0), kept

        (won, kept), gradients = jax.value_and_grad(g_loss, has_aux=True)(making)
        making, g_slots = self.making.stateless_apply(slots[half:], gradients, making)
        logs = {"discriminator_loss": lost, "generator_loss": won}
        return logs, ([*making, *judging], kept, [*d_slots, *g_slots], metrics)


def _unet() -> Any:
    convolve = lambda x, features, name: layers.Conv2D(
        features, 3, padding="same", activation="relu", name=name
    )(x)
    two = lambda x, features, name: convolve(
        convolve(x, features, f"{name}_conv1"), features, f"{name}_conv2"
    )
    x = image = layers.Input((64, 64, 3))
    kept = []
    for level, features in enumerate(UNET_FEATURES):
        x = two(x, features, f"down{level}")
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = two(x, 2 * UNET_FEATURES[-1], "middle")
    for level, features in reversed(list(enumerate(UNET_FEATURES))):
        up = layers.Conv2DTranspose(
            features, 2, strides=2, activation="relu", name=f"up{level}_conv0"
        )
        x = two(layers.Concatenate()([kept.pop(), up(x)]), features, f"up{level}")
    return keras.Model(image, layers.Conv2D(10, 1, name="head")(x))


def _resnet20() -> Any:
    def convolve(x: Any, features: int, size: int, stride: int, name: str) -> Any:
        x = layers.ZeroPadding2D(size // 2)(x)
        x = layers.Conv2D(features, size, stride, use_bias=False, name=f"{name}_conv")(
            x
        )
        return layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)

    image = layers.Input((32, 32, 3))
    x = layers.ReLU()(convolve(image, 16, 3, 1, "conv1"))
    for stage, (features, blocks) in enumerate(SMALL_RESNET_STAGES, start=2):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            stride, short = 1, x
            if block == 1 and stage > 2:
                stride, short = 2, convolve(x, features, 1, 2, f"{name}_0")
            x = layers.ReLU()(convolve(x, features, 3, stride, f"{name}_1"))
            x = convolve(x, features, 3, 1, f"{name}_2")
            x = layers.ReLU()(layers.Add()([short, x]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, name="predictions")(x))


class _Two:
    """Two optimizers with the interface that Keras' `fit` needs on JAX."""

    built = True

    def __init__(self, *optimizers: Any) -> None:
        self.variables = [v for each in optimizers for v in each.variables]


_MODELS: dict[str, Callable[[], Any]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "lstm": lambda: _recurrent(layers.LSTM),
    "gru": lambda: _recurrent(layers.GRU),
    "transformer": _transformer,
    "vae": _vae,
    "dcgan": _DCGAN,
    "resnet50": lambda: application("ResNet50"),
    "inceptionv3": lambda: application("InceptionV3", side=75),
    "densenet121": lambda: application("DenseNet121"),
    "resnet20": _resnet20,
    "mobilenet": lambda: application("MobileNetV2"),
    "unet": _unet,
}


class Twin:
    """A case in Keras."""

    def __init__(
        self, case: str, *, steps_per_execution: int = 1, jit_compile: Any = "auto"
    ) -> None:
        """Create and compile the model."""
        self.case = case
        self.model = _MODELS[case]()
        optimizer = keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)
        self.optimizers = [optimizer]
        if case == "dcgan":
            self.optimizers = [self.model.judging, self.model.making]
        self.model.compile(
            None if case == "dcgan" else optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            if case not in ("vae", "dcgan")
            else None,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        if case == "dcgan":
            self.model.optimizer = _Two(*self.optimizers)

    def multiply_in(self, precision: Precision) -> None:
        """Set the precision."""
        if precision == "bfloat16":  # a policy that applies when the model is created
            raise NotImplementedError("bfloat16")
        match keras.backend.backend():
            case "jax":
                from bench.speed.rivals.applied import jax_multiplies_in

                jax_multiplies_in(precision)
            case "torch":
                import torch

                torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
                torch.backends.cudnn.allow_tf32 = precision == "tf32"
            case "tensorflow":
                import tensorflow as tf

                exact = precision == "float32"
                tf.config.experimental.enable_tensor_float_32_execution(not exact)

    def load(self, params: Arrays) -> None:
        """Set the parameters."""
        for variable in self.model.trainable_variables:
            variable.assign(params[_name(variable)])

    def first_step(self, batch: Arrays) -> Step:
        """Make the first training step, with `fit`."""
        x, y = _split(batch)
        outputs = self.outputs(batch)
        size = len(batch["input"])
        history = self.model.fit(x, y, batch_size=size, shuffle=False, verbose=0)
        losses = [values[0] for values in history.history.values()]
        gradients = {
            _name(variable): ops.convert_to_numpy(moment) / (1 - BETA_1)
            for optimizer in self.optimizers
            for variable, moment in zip(
                optimizer._trainable_variables, optimizer._momentums, strict=True
            )
        }
        variables = self.model.trainable_variables
        params = {_name(v): ops.convert_to_numpy(v) for v in variables}
        return Step(outputs, np.array(losses), gradients, params)

    def trainer(self, data: Arrays, batch_size: int) -> Callable[[], Any]:
        """Return a function that calls `fit` for one epoch, on arrays in memory."""
        x, y = _split(data)
        return lambda: self.model.fit(
            x, y, batch_size=batch_size, shuffle=False, verbose=0
        )

    def outputs(self, batch: Arrays) -> np.ndarray:
        """Return the outputs of the model."""
        return np.asarray(self.model.predict_on_batch(_split(batch)[0]))

    def predictor(self, batch: Arrays, times: int) -> Callable[[], Any]:
        """Return a function that predicts a batch repeatedly."""
        x, _ = _split(batch)

        def run() -> Any:
            for _ in range(times):
                self.model.predict_on_batch(x)

        return run


def _split(batch: Arrays) -> tuple[Any, Any]:
    inputs = [x for name, x in batch.items() if name != "label"]
    return (inputs if len(inputs) > 1 else inputs[0]), batch.get("label")


def _name(variable: Any) -> str:
    """Return fdl's name for a variable."""
    name = variable.path.replace("/", "_")
    for theirs, ours in (
        ("sequential_", ""),
        ("dcgan_", ""),
        ("lstm_cell_", ""),
        ("gru_cell_", ""),
        ("attention_output", "out"),
        ("gamma", "scale"),
        ("beta", "bias"),
    ):
        name = name.replace(theirs, ours)
    return name
