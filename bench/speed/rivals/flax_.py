"""Flax as in its documentation: Linen's layers, a jitted step, a loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from bench.speed.cases import CASES
from bench.speed.rivals import flax_images as images
from bench.speed.rivals.applied import Applied, jax_multiplies_in
from bench.speed.twin import (
    BETA_1,
    BETA_2,
    LEARNING_RATE,
    LONG_EPSILON,
    Arrays,
    Precision,
    Step,
)


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = x.reshape(len(x), -1)
        x = nn.relu(nn.Dense(32, name="dense1")(x))
        return nn.Dense(10, name="head")(x)


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for layer, features in enumerate((32, 64, 64), start=1):
            conv = nn.Conv(features, (3, 3), padding="VALID", name=f"conv{layer}")
            x = nn.relu(conv(x))
            if layer < 3:
                x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(len(x), -1)
        x = nn.relu(nn.Dense(64, name="dense")(x))
        return nn.Dense(10, name="head")(x)


class Recurrent(nn.Module):
    cell: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.RNN(self.cell(128, param_dtype=x.dtype, name="layer1"))(x)[:, -1]
        return nn.Dense(10, name="head")(x)


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = x.reshape(-1, 4, 7, 4, 7).swapaxes(2, 3).reshape(-1, 16, 49)
        x = nn.Dense(64, name="patch")(x)
        shape = (1, 16, 64)
        x = x + self.param("position_embedding", nn.initializers.normal(), shape)
        for block in range(1, 5):
            name = f"encoder_block{block}"
            norm = lambda x, part, name=name: nn.LayerNorm(
                epsilon=1e-3, name=f"{name}_{part}_norm"
            )(x)
            attention = nn.MultiHeadDotProductAttention(4, name=f"{name}_attention")
            x = x + attention(norm(x, "attention"))
            h = nn.Dense(128, name=f"{name}_dense1")(norm(x, "dense"))
            h = nn.gelu(h, approximate=False)
            x = x + nn.Dense(64, name=f"{name}_dense2")(h)
        x = nn.LayerNorm(epsilon=1e-3, name="encoder_norm")(x)
        return nn.Dense(10, name="head")(x.mean(axis=1))


class VAE(nn.Module):
    @nn.compact
    def __call__(self, x: Any, noise: Any) -> Any:
        h = x.reshape(len(x), -1)
        for layer in (1, 2):
            h = nn.relu(nn.Dense(400, name=f"encoder_dense{layer}")(h))
        mean, logvar = nn.Dense(20, name="mean")(h), nn.Dense(20, name="logvar")(h)
        z = mean + jnp.exp(0.5 * logvar) * noise
        for layer in (1, 2):
            z = nn.relu(nn.Dense(400, name=f"decoder_dense{layer}")(z))
        return nn.Dense(784, name="decoder_head")(z).reshape(x.shape), mean, logvar


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z: Any, train: bool = True) -> Any:
        norm = lambda x, number: nn.BatchNorm(
            use_running_average=not train, epsilon=1e-3, name=f"norm{number}"
        )(x)
        up = lambda features, **options: nn.ConvTranspose(
            features, (4, 4), (2, 2), transpose_kernel=True, **options
        )
        x = nn.Dense(49 * 64, use_bias=False, name="dense")(z).reshape(-1, 7, 7, 64)
        x = nn.relu(norm(x, 1))
        x = nn.relu(norm(up(32, use_bias=False, name="conv1")(x), 2))
        return nn.tanh(up(1, name="conv2")(x))


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for layer, features in enumerate((32, 64), start=1):
            x = nn.Conv(features, (4, 4), (2, 2), name=f"conv{layer}")(x)
            x = nn.leaky_relu(x, 0.2)
        return nn.Dense(1, name="head")(x.reshape(len(x), -1))[:, 0]


_MODELS: dict[str, Callable[[], Any]] = {
    "mlp": MLP,
    "cnn": CNN,
    "lstm": lambda: Recurrent(nn.OptimizedLSTMCell),
    "gru": lambda: Recurrent(nn.GRUCell),
    "transformer": Transformer,
    "vae": VAE,
    "resnet50": images.ResNet50,
    "inceptionv3": images.InceptionV3,
    "densenet121": images.DenseNet121,
    "resnet20": images.ResNet20,
    "mobilenet": images.MobileNetV2,
    "unet": images.UNet,
}
# By statistics of the batch.
_NORMALIZED = ("resnet50", "inceptionv3", "densenet121", "resnet20", "mobilenet")
# Linen's names of the dense layers of the gates, in fdl's order.
_GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("z", "r", "n")}

_adam = optax.adam(LEARNING_RATE, BETA_1, BETA_2, LONG_EPSILON)


class Twin(Applied):
    """A case in plain Flax."""

    def __init__(self, case: str) -> None:
        """Create the model."""
        self.case = case
        self.model = _MODELS[case]() if case != "dcgan" else None
        self.apply = jax.jit(self._outputs)
        self.step = jax.jit(self._step, donate_argnums=0)

    def multiply_in(self, precision: Precision) -> None:
        """Set the precision."""
        if precision == "bfloat16":
            raise NotImplementedError("bfloat16")
        jax_multiplies_in(precision)

    def load(self, params: Arrays) -> None:
        """Set the parameters."""
        params = jax.tree.map(jnp.asarray, _tree(self.case, params))
        stats = {}
        if self.case == "dcgan":
            stats = Generator().init(jax.random.key(0), jnp.zeros((2, 64)))
            dtype = params["generator"]["dense"]["kernel"].dtype
            stats = jax.tree.map(lambda x: x.astype(dtype), stats["batch_stats"])
            opt_state = {name: _adam.init(params[name]) for name in params}
        elif self.case in _NORMALIZED:
            image = jnp.zeros((1, *CASES[self.case].shape))
            shapes = jax.eval_shape(self.model.init, jax.random.key(0), image)
            start = {"mean": jnp.zeros, "var": jnp.ones}
            stats = jax.tree_util.tree_map_with_path(
                lambda path, x: start[path[-1].key](x.shape), shapes["batch_stats"]
            )
            opt_state = _adam.init(params)
        else:
            opt_state = _adam.init(params)
        self.state = (params, opt_state, stats)

    def first_step(self, batch: Arrays) -> Step:
        """Make the first training step, compiled."""
        outputs = self.outputs(batch)
        (params, opt_state, _), loss = jax.jit(self._step)(self.state, batch)
        if self.case == "dcgan":
            moments = {name: each[0].mu for name, each in opt_state.items()}
        else:
            moments = opt_state[0].mu
        moments = jax.tree.map(lambda m: m / (1 - BETA_1), moments)
        return Step(
            outputs,
            np.ravel(loss),
            _flat(self.case, moments),
            _flat(self.case, params),
        )

    def trainer(self, data: Arrays, batch_size: int) -> Callable[[], Any]:
        """Return the training loop of the documentation."""
        count = len(data["input"])
        batches = [
            {name: x[start : start + batch_size] for name, x in data.items()}
            for start in range(0, count, batch_size)
        ]

        def run() -> Any:
            loss = None
            for batch in batches:
                self.state, loss = self.step(self.state, batch)
            return jax.block_until_ready(loss)

        return run

    def _outputs(self, state: Any, batch: Arrays) -> Any:
        params, _, stats = state
        if self.case == "vae":
            variables = {"params": params}
            return self.model.apply(variables, batch["input"], batch["draw_noise"])[0]
        if self.case == "dcgan":
            variables = {"params": params["generator"], "batch_stats": stats}
            return Generator().apply(variables, batch["draw_discriminator"], False)
        variables = {"params": params} | ({"batch_stats": stats} if stats else {})
        return self.model.apply(variables, batch["input"])

    def _step(self, state: Any, batch: Arrays) -> Any:
        if self.case == "dcgan":
            return _adversarial(state, batch)
        params, opt_state, stats = state

        def mean_loss(params: Any) -> Any:
            variables = {"params": params}
            if self.case == "vae":
                y = self.model.apply(variables, batch["input"], batch["draw_noise"])
                return _bound(*y, batch["input"]), stats
            updated = {"batch_stats": stats}
            if stats:
                variables = {"params": params, **updated}
                logits, updated = self.model.apply(
                    variables, batch["input"], train=True, mutable="batch_stats"
                )
            else:
                logits = self.model.apply(variables, batch["input"])
            losses = optax.softmax_cross_entropy_with_integer_labels(
                logits, batch["label"]
            )
            return losses.mean(), updated["batch_stats"]

        (loss, stats), grads = jax.value_and_grad(mean_loss, has_aux=True)(params)
        updates, opt_state = _adam.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, stats), loss


def _bound(logits: Any, mean: Any, logvar: Any, image: Any) -> Any:
    nll = optax.sigmoid_binary_cross_entropy(logits, image).sum(axis=(1, 2, 3))
    kl = -0.5 * (1 + logvar - mean**2 - jnp.exp(logvar)).sum(axis=1)
    return (nll + kl).mean()


def _adversarial(state: Any, batch: Arrays) -> Any:
    params, opt_state, stats = state
    real = 2 * batch["input"] - 1
    judge = lambda params, x: Discriminator().apply({"params": params}, x)
    cross = lambda logits, label: optax.sigmoid_binary_cross_entropy(
        logits, jnp.full_like(logits, label)
    ).mean()

    def make(params: Any, latent: Any) -> Any:
        variables = {"params": params, "batch_stats": stats}
        return Generator().apply(variables, latent, mutable="batch_stats")

    fake, _ = make(params["generator"], batch["draw_discriminator"])

    def discriminator_loss(params: Any) -> Any:
        return cross(judge(params, real), 1.0) + cross(judge(params, fake), 0.0)

    def update(name: str, loss: Any, has_aux: bool = False) -> Any:
        found, grads = jax.value_and_grad(loss, has_aux=has_aux)(params[name])
        updates, opt_state[name] = _adam.update(grads, opt_state[name])
        params[name] = optax.apply_updates(params[name], updates)
        return found

    params, opt_state = dict(params), dict(opt_state)
    d_loss = update("discriminator", discriminator_loss)
    judging = params["discriminator"]

    def generator_loss(params: Any) -> Any:
        fake, updated = make(params, batch["draw_generator"])
        return cross(judge(judging, fake), 1.0), updated["batch_stats"]

    g_loss, stats = update("generator", generator_loss, has_aux=True)
    return (params, opt_state, stats), jnp.stack([d_loss, g_loss])


def _tree(case: str, flat: Arrays) -> Any:
    """Return parameters as a tree for the models above."""
    if case == "dcgan":
        tree: Any = {"generator": {}, "discriminator": {}}
        for name, x in flat.items():
            model, layer, kind = name.split("_")
            tree[model].setdefault(layer, {})[kind] = x
        return tree
    if case in _GATES:
        cell: dict[str, Any] = {}
        kernel, recurrent = flat["layer1_kernel"], flat["layer1_recurrent_kernel"]
        bias, gates = flat["layer1_bias"], _GATES[case]
        for number, gate in enumerate(gates):
            part = slice(number * 128, (number + 1) * 128)
            for side, array in (("i", kernel), ("h", recurrent)):
                cell[f"{side}{gate}"] = {"kernel": array[:, part]}
            if case == "lstm":
                cell[f"h{gate}"]["bias"] = bias[part]
                continue
            cell[f"i{gate}"]["bias"] = bias[0, part]
            if gate == "n":
                cell["hn"]["bias"] = bias[1, part]
        head = {kind: flat[f"head_{kind}"] for kind in ("kernel", "bias")}
        return {"layer1": cell, "head": head}
    tree = {}
    for name, x in flat.items():
        if name == "position_embedding":
            tree[name] = x[None]
            continue
        layer, _, kind = name.rpartition("_")
        here = tree
        for part in ("query", "key", "value", "out"):
            if layer.endswith(f"_attention_{part}"):
                layer = layer.removesuffix(f"_{part}")
                here = tree.setdefault(layer, {})
                layer = part
                break
        # In Linen, depthwise kernels are those of a grouped convolution.
        x = x.swapaxes(-1, -2) if layer.endswith("_depthwise") else x
        here.setdefault(layer, {})[kind] = x
    return tree


def _flat(case: str, tree: Any) -> Arrays:
    """Return the arrays of such a tree by fdl's names."""
    tree = jax.tree.map(np.asarray, tree)
    if case in _GATES:
        cell, gates = tree["layer1"], _GATES[case]
        flat = {f"head_{kind}": x for kind, x in tree["head"].items()}
        for name, side in (("kernel", "i"), ("recurrent_kernel", "h")):
            kernels = [cell[f"{side}{gate}"]["kernel"] for gate in gates]
            flat[f"layer1_{name}"] = np.concatenate(kernels, axis=1)
        if case == "lstm":
            biases = [cell[f"h{gate}"]["bias"] for gate in gates]
            return {**flat, "layer1_bias": np.concatenate(biases)}
        bias = np.full((2, 384), np.nan, flat["layer1_kernel"].dtype)
        bias[0] = np.concatenate([cell[f"i{gate}"]["bias"] for gate in gates])
        bias[1, 256:] = cell["hn"]["bias"]
        return {**flat, "layer1_bias": bias}
    paths = jax.tree_util.tree_leaves_with_path(tree)
    flat = {"_".join(part.key for part in path): x for path, x in paths}
    if "position_embedding" in flat:
        flat["position_embedding"] = flat["position_embedding"][0]
    for name in flat:
        if name.endswith("_depthwise_kernel"):
            flat[name] = flat[name].swapaxes(-1, -2)
    return flat
