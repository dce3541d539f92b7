"""fdl itself: learners, trained as in `fit`."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

import fdl
from bench.speed.cases import LATENTS
from bench.speed.networks import UNET_FEATURES
from bench.speed.rivals.applied import Applied, jax_multiplies_in
from bench.speed.twin import (
    BETA_1,
    BETA_2,
    EPSILON,
    LEARNING_RATE,
    Arrays,
    Precision,
    Step,
)
from fdl import learners, losses, models, nn, ops
from fdl.learner import Learner, State
from fdl.learners.adversarial import draw
from fdl.train import program, run_steps


def _adam() -> Any:
    return fdl.keras.adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)


Wrap = Callable[[Any], Any]
"""Function from a model to the same model in another precision."""


def _as_it_is(model: Any) -> Any:
    return model


def _supervised(model: Any, wrap: Wrap) -> tuple[Any, Learner]:
    return model, learners.supervised(wrap(model), losses.cross_entropy, _adam())


def _transformer(wrap: Wrap) -> tuple[Any, Learner]:
    encoder = nn.TransformerEncoder(
        num_layers=4, num_heads=4, hidden_size=128, norm="pre", activation=nn.gelu
    )
    return _supervised(models.VisionTransformer(10, encoder), wrap)


def _vae(wrap: Wrap) -> tuple[Any, Learner]:
    model = models.VAE()
    return model, learners.variational(wrap(model), _adam())


def _dcgan(wrap: Wrap) -> tuple[Any, Learner]:
    model = models.DCGANGenerator()
    learner = learners.adversarial(
        wrap(model),
        wrap(models.DCGANDiscriminator()),
        losses.non_saturating,
        _adam(),
        _adam(),
        latent_size=LATENTS,
        ema_decay=0.0,
    )
    return model, learner


def _application(name: str) -> Callable[[Wrap], tuple[Any, Learner]]:
    """Return a function that imports a Keras model, written by another process."""

    def make(wrap: Wrap) -> tuple[Any, Learner]:
        with tempfile.TemporaryDirectory() as folder:
            words = ["-m", "bench.speed.applications", name, f"{folder}/model.keras"]
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            model, _ = fdl.keras.import_model(f"{folder}/model.keras")
        return _supervised(model, wrap)

    return make


_MAKE: dict[str, Callable[[Wrap], tuple[Any, Learner]]] = {
    "mlp": lambda wrap: _supervised(models.MLP(10, hidden_sizes=(32,)), wrap),
    "cnn": lambda wrap: _supervised(models.CNN(10), wrap),
    "lstm": lambda wrap: _supervised(models.LSTMClassifier(10), wrap),
    "gru": lambda wrap: _supervised(models.GRUClassifier(10), wrap),
    "transformer": _transformer,
    "vae": _vae,
    "dcgan": _dcgan,
    "resnet50": lambda wrap: _supervised(models.ResNet50(10), wrap),
    "inceptionv3": lambda wrap: _supervised(models.InceptionV3(10), wrap),
    "densenet121": lambda wrap: _supervised(models.DenseNet121(10), wrap),
    "resnet20": lambda wrap: _supervised(models.CIFARResNet(10, depth=20), wrap),
    "mobilenet": _application("MobileNetV2"),
    "unet": lambda wrap: _supervised(UNet(), wrap),
}


def make(case: str, wrap: Wrap = _as_it_is) -> tuple[Any, Learner]:
    """Return the model of a case, and its learner in the precision of `wrap`."""
    return _MAKE[case](wrap)


class UNet(linen.Module):
    """A small U-Net (Ronneberger et al., 2015, arXiv:1505.04597)."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        def conv(x: Any, features: int, name: str) -> Any:
            return linen.relu(nn.Conv2D(features, (3, 3), padding="same", name=name)(x))

        def two(x: Any, features: int, name: str) -> Any:
            return conv(conv(x, features, f"{name}_conv1"), features, f"{name}_conv2")

        kept = []
        for level, features in enumerate(UNET_FEATURES):
            x = two(x, features, f"down{level}")
            kept.append(x)
            x = ops.max_pool(x)
        x = two(x, 2 * UNET_FEATURES[-1], "middle")
        for level, features in reversed(list(enumerate(UNET_FEATURES))):
            name = f"up{level}"
            up = nn.Conv2DTranspose(features, (2, 2), (2, 2), name=f"{name}_conv0")
            x = jnp.concatenate([kept.pop(), linen.relu(up(x))], -1)
            x = two(x, features, name)
        return nn.Conv2D(10, (1, 1), name="head")(x)


class Twin(Applied):
    """A case in fdl."""

    def __init__(self, case: str) -> None:
        """Create the learner."""
        self.case = case
        self.model, self.learner = make(case)
        self.state: State | None = None
        self.apply = jax.jit(self._outputs)

    def multiply_in(self, precision: Precision) -> None:
        """Set the precision."""
        jax_multiplies_in(precision)
        wrap = nn.MixedPrecision if precision == "bfloat16" else _as_it_is
        _, self.learner = make(self.case, wrap)

    def draw(self, batch: Arrays) -> tuple[Arrays, Arrays]:
        """Return initial parameters and the random draws of the first step."""
        self.state = self.learner.init(jax.random.key(0), _examples(batch))
        count, dtype = len(batch["input"]), batch["input"].dtype
        key = jax.random.fold_in(self.state.key, 0)
        drawn: dict[str, Any] = {}
        if self.case == "vae":
            shape = (count, self.model.latent_size)
            drawn = {"draw_noise": jax.random.normal(key, shape, dtype)}
        elif self.case == "dcgan":
            names = ("draw_discriminator", "draw_generator")
            for name, one in zip(names, jax.random.split(key), strict=True):
                drawn[name] = draw(one, count, LATENTS, dtype).latent
        return flat(self.state.params), {k: np.asarray(x) for k, x in drawn.items()}

    def load(self, params: Arrays) -> None:
        """Set the parameters."""
        assert self.state is not None
        names = _names(self.state.params)
        treedef = jax.tree.structure(self.state.params)
        leaves = [jnp.asarray(params[name]) for name in names]
        # All in one precision, which may differ from that of the draws.
        same = lambda x: (
            x.astype(leaves[0].dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x
        )
        self.state = jax.tree.map(same, self.state)
        self.state = self.state._replace(params=jax.tree.unflatten(treedef, leaves))

    def first_step(self, batch: Arrays) -> Step:
        """Make the first training step, compiled."""
        outputs = self.outputs(batch)
        after, metrics = jax.jit(self.learner.step)(self.state, _examples(batch))
        names = ("loss", "discriminator_loss", "generator_loss")
        loss = [fdl.metrics.compute(metrics)[n] for n in names if n in metrics]
        moments = jax.tree.map(lambda x: x / (1 - BETA_1), _moments(after.opt_state))
        return Step(outputs, np.array(loss), flat(moments), flat(after.params))

    def trainer(self, data: Arrays, batch_size: int) -> Callable[[], Any]:
        """Return a function that trains one epoch as `fit` does."""
        examples = jax.device_put(_examples(data))
        count = len(data["input"])
        order = jnp.arange(count)
        steps = count // batch_size
        batch = jax.tree.map(lambda x: x[:batch_size], examples)
        shapes = jax.eval_shape(self.learner.step, self.state, batch)[1]
        zeros = jax.jit(
            lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        )

        train = program(run_steps, self.learner.step, batch_size, donate=(4, 5))

        def run() -> Any:
            self.state, totals, _ = train(
                examples, order, 0, steps, self.state, zeros()
            )
            return fdl.metrics.compute(totals)

        return run

    def flops(self, batch: Arrays) -> int:
        """Return the floating-point operations of the products in a step."""
        return _flops(jax.make_jaxpr(self.learner.step)(self.state, _examples(batch)))

    def _outputs(self, state: State, batch: Arrays) -> Any:
        variables = {"params": state.params, **state.model_state}
        if self.case == "vae":
            return self.model.apply(
                variables, batch["input"], batch["draw_noise"]
            ).logits
        if self.case == "dcgan":
            return self.model.apply(
                {
                    "params": state.params["generator"],
                    **state.model_state["generator"],
                },
                batch["draw_discriminator"],
            )
        return self.model.apply(variables, batch["input"])


def _examples(batch: Arrays) -> tuple[Any, ...]:
    return tuple(batch[name] for name in ("input", "label") if name in batch)


def _names(tree: Any) -> list[str]:
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return ["_".join(part.key for part in path) for path, _ in paths]


def flat(tree: Any) -> Arrays:
    """Return the arrays of a tree by name."""
    leaves = map(np.asarray, jax.tree.leaves(tree))
    return dict(zip(_names(tree), leaves, strict=True))


def _moments(opt_state: Any) -> Any:
    """Return the first moments of Adam, or of a dictionary of Adams."""
    if isinstance(opt_state, dict):
        return {name: _moments(each) for name, each in opt_state.items()}
    return opt_state.slots["momentum"]


def _flops(closed: Any) -> int:
    """Count the operations of products and convolutions, including loops."""
    total = 0
    for eqn in closed.jaxpr.eqns:
        match eqn.primitive.name:
            case "dot_general":
                contract, _ = eqn.params["dimension_numbers"]
                left = eqn.invars[0].aval.shape
                depth = np.prod([left[axis] for axis in contract[0]], dtype=int)
                total += 2 * depth * eqn.outvars[0].aval.size
            case "conv_general_dilated":
                kernel, out = eqn.invars[1].aval, eqn.outvars[0].aval
                numbers = eqn.params["dimension_numbers"]
                features = kernel.shape[numbers.rhs_spec[0]]
                total += 2 * (kernel.size // features) * out.size
        times = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(
            list(eqn.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")
        ):
            if hasattr(inner, "jaxpr"):
                total += times * _flops(inner)
    return int(total)
