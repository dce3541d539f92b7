"""Adversarial learning: a generator and a discriminator against each other."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import (
    Array,
    Key,
    Number,
    PyTree,
    Seed,
    as_key,
    is_on,
    unit_scale,
)
from fdl.learner import Learner, State
from fdl.learners.content import content_normal
from fdl.learners.descent import Optimizer, Update, descend, update_of
from fdl.learners.modules import Applied, apply, apply_in_training, draw_variables
from fdl.learners.targets import inputs_of
from fdl.losses import AdversarialLoss, gradient_penalty
from fdl.metrics import Metrics, mean
from fdl.programs import program
from fdl.ranges import require_number, require_whole


class Draws(NamedTuple):
    """Random numbers of one update.

    Attributes:
        latent: Standard normal latents, one row for each example.
        mix: Uniform in [0, 1), for the gradient penalty.
        dropout: Random key for the models' own draws, such as dropout.
    """

    latent: Float[Array, "batch latent"]
    mix: Float[Array, " batch"]
    dropout: Key


def draw(key: Key, count: int, latent_size: int, dtype: Any = jnp.float32) -> Draws:
    """Draw the random numbers of one update of the discriminator or the generator.

    Example:
        >>> draw(jax.random.key(0), 8, 64).latent.shape
        (8, 64)
    """
    latent_key, mix_key, dropout_key = jax.random.split(key, 3)
    latent = jax.random.normal(latent_key, (count, latent_size), dtype)
    return Draws(latent, jax.random.uniform(mix_key, (count,), dtype), dropout_key)


def adversarial(
    generator: Any,
    discriminator: Any,
    loss: AdversarialLoss,
    generator_optimizer: Optimizer,
    discriminator_optimizer: Optimizer,
    *,
    latent_size: int,
    discriminator_steps: int = 1,
    ema_decay: Number = 0.999,
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Return a learner of a GAN's two models (Goodfellow et al., 2014).

    arXiv:1406.2661. A step updates the discriminator `k` times on the batch against new
    examples of the generator, then the generator once on as many new latents: the
    paper's algorithm 1, except that the `k` updates see the same real examples. The
    random keys of a step are `split(fold_in(state.key, state.step), k + 1)`, see
    `draw`.

    Batch statistics: real and generated examples pass through the discriminator
    separately, each normalized by its own statistics, as in DCGAN and in TensorFlow's
    tutorial. Running statistics are updated only in a model's own update; the
    discriminator records those of the real examples, then of the generated ones.

    `evaluate` and `predict` use a moving average of the generator (Yaz et al., 2019,
    arXiv:1806.04498; Karras et al., 2018, arXiv:1710.10196), in
    `state.extra["average"]`. It has its own running statistics, updated by passing the
    step's latents through it, since those of the trained generator do not fit.

    Args:
        generator: A Linen module from latents `(batch, latent_size)` to images in
            [-1, 1], called with `train=...`. It may have `batch_stats`.
        discriminator: A Linen module from images to logits `(batch, 1)`, called with
            `train=...`. It may have `batch_stats` and draw from the key `dropout`.
        loss: One of `fdl.losses`: `minimax`, `non_saturating`, `least_squares`,
            `wasserstein_gp`.
        generator_optimizer: Any optax gradient transformation.
        discriminator_optimizer: Likewise.
        latent_size: Size of the latent vector, at least 1.
        discriminator_steps: The `k` of the paper, at least 1.
        ema_decay: Decay of the moving average per step, in [0, 1); 0 for the trained
            generator itself. In step `t`, from 0, the decay is at most `t / (t + 10)`,
            so that the initial parameters are soon forgotten.
        preprocess: Function of images, applied on the device, that returns values in
            [0, 1]; the models then work in [-1, 1].

    Returns:
        A learner whose batches are images, or tuples with images first. Its parameters,
        optimizer states and model states are dictionaries with the keys `generator` and
        `discriminator`. `predict` maps latents to images in [0, 1], by the averaged
        generator. Metrics are both losses, and the mean logits of real and generated
        examples. `evaluate` leaves out the penalty and derives the latent of each image
        from the image's bytes, so that the result does not depend on how images are
        batched.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import fdl, optax
        >>> learner = adversarial(
        ...     fdl.models.DenseGenerator(),
        ...     fdl.models.DenseDiscriminator(),
        ...     fdl.losses.non_saturating,
        ...     optax.adam(1e-3),
        ...     optax.adam(1e-3),
        ...     latent_size=8,
        ... )
        >>> batch = (jnp.ones((4, 28, 28, 1)),)
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> learner.predict(state, jnp.zeros((3, 8))).shape
        (3, 28, 28, 1)
    """
    counts = {"latent_size": latent_size, "discriminator_steps": discriminator_steps}
    require_whole("[1, inf)", **counts)
    require_number("[0, 1)", ema_decay=ema_decay)
    game = _Game(
        generator,
        discriminator,
        loss,
        {
            "generator": update_of(generator_optimizer),
            "discriminator": update_of(discriminator_optimizer),
        },
        latent_size,
        discriminator_steps,
        ema_decay,
        preprocess,
    )

    def init(key: Seed, batch: PyTree) -> State:
        state = game.draw(as_key(key), batch)
        return state._replace(
            opt_state={
                "generator": generator_optimizer.init(state.params["generator"]),
                "discriminator": discriminator_optimizer.init(
                    state.params["discriminator"]
                ),
            }
        )

    return Learner(init, game.step, game.evaluate, game.predict)


@dataclasses.dataclass(frozen=True)
class _Game:
    """The arguments of `adversarial`, and the learner's functions as methods."""

    generator: Any
    discriminator: Any
    loss: AdversarialLoss
    updates: Mapping[str, Update]
    latent_size: int
    discriminator_steps: int
    ema_decay: Number
    preprocess: Callable[[Array], Array]

    def draw(self, key: Key, batch: PyTree) -> State:
        """Initialize both models; the optimizers' states are added later."""
        generator_key, discriminator_key, run_key = jax.random.split(key, 3)
        images = self._signed(inputs_of(batch)[:1])
        latent = jnp.zeros((1, self.latent_size), images.dtype)
        draw_generator = program(draw_variables, self.generator, once=True)
        made, made_state = draw_generator(generator_key, latent)
        draw_discriminator = program(draw_variables, self.discriminator, once=True)
        judge, judge_state = draw_discriminator(discriminator_key, images)
        average = {"params": made, "model_state": made_state}
        return State(
            step=jnp.int32(0),
            params={"generator": made, "discriminator": judge},
            key=run_key,
            model_state={"generator": made_state, "discriminator": judge_state},
            # A copy, since programs may donate the buffers of the state.
            extra={"average": jax.tree.map(jnp.array, average)},
        )

    def step(self, state: State, batch: PyTree) -> tuple[State, Metrics]:
        """Update the discriminator, then the generator, then its average."""
        images = self._signed(inputs_of(batch))
        key = jax.random.fold_in(state.key, state.step)
        keys = jax.random.split(key, self.discriminator_steps + 1)
        # A scan, so that k updates compile as fast as one.
        state, each = lax.scan(
            lambda state, key: self._update_discriminator(state, images, key),
            state,
            keys[:-1],
        )
        measured = jax.tree.map(lambda values: jnp.sum(values, axis=0), each)
        drawn = draw(keys[-1], len(images), self.latent_size, images.dtype)
        state, its = self._update_generator(state, drawn)
        average = self._average(state, drawn)
        state = state._replace(step=state.step + 1, extra={"average": average})
        return state, {**measured, **its}

    def evaluate(self, state: State, batch: PyTree) -> Metrics:
        """Measure both losses, with latents that depend only on the images."""
        given = inputs_of(batch)
        images = self._signed(given)
        latent = content_normal(given, self.latent_size, images.dtype)
        params = state.params["discriminator"]
        kept = state.model_state["discriminator"]
        real, fake = (
            apply(self.discriminator, params, kept, each).outputs[..., 0]
            for each in (images, self._sample(state, latent))
        )
        return {
            "discriminator_loss": mean(self.loss.discriminator(real, fake)),
            "generator_loss": mean(self.loss.generator(fake)),
            "real_logit": mean(real),
            "fake_logit": mean(fake),
        }

    def predict(self, state: State, latents: Array) -> Array:
        """Generate images in [0, 1] with the averaged generator."""
        return (self._sample(state, latents) + 1) / 2

    def _signed(self, images: Array) -> Array:
        return 2 * self.preprocess(images) - 1

    def _sample(self, state: State, latent: Array) -> Array:
        average = state.extra["average"]
        params, kept = average["params"], average["model_state"]
        return apply(self.generator, params, kept, latent).outputs

    def _make(self, params: PyTree, model_state: PyTree, drawn: Draws) -> Applied:
        key = jax.random.fold_in(drawn.dropout, 0)
        return apply_in_training(self.generator, params, model_state, drawn.latent, key)

    def _judge(
        self, params: PyTree, model_state: PyTree, images: Array, key: Key
    ) -> tuple[Array, Any]:
        logits, model_state, _ = apply_in_training(
            self.discriminator, params, model_state, images, key
        )
        return logits[..., 0], model_state

    def _update_discriminator(self, state: State, images: Array, key: Key) -> Any:
        drawn = draw(key, len(images), self.latent_size, images.dtype)
        made = self._make(
            state.params["generator"], state.model_state["generator"], drawn
        ).outputs
        real_key, fake_key, penalty_key = jax.random.split(drawn.dropout, 3)

        def mean_loss(params: PyTree) -> tuple[Array, Any]:
            kept = state.model_state["discriminator"]
            real, kept = self._judge(params, kept, images, real_key)
            fake, kept = self._judge(params, kept, made, fake_key)
            losses = self.loss.discriminator(real, fake)
            if self.loss.penalty:
                critic = lambda x: self._judge(params, kept, x, penalty_key)[0]
                penalties = gradient_penalty(critic, images, made, drawn.mix)
                losses = losses + self.loss.penalty * penalties
            measured = {
                "discriminator_loss": mean(losses),
                "real_logit": mean(real),
                "fake_logit": mean(fake),
            }
            return jnp.mean(losses), (measured, kept)

        return self._descend(state, "discriminator", mean_loss)

    def _update_generator(self, state: State, drawn: Draws) -> Any:
        def mean_loss(params: PyTree) -> tuple[Array, Any]:
            made, kept, _ = self._make(params, state.model_state["generator"], drawn)
            fake, _ = self._judge(
                state.params["discriminator"],
                state.model_state["discriminator"],
                made,
                drawn.dropout,
            )
            losses = self.loss.generator(fake)
            return jnp.mean(losses), ({"generator_loss": mean(losses)}, kept)

        return self._descend(state, "generator", mean_loss)

    def _average(self, state: State, drawn: Draws) -> dict[str, PyTree]:
        if not is_on(self.ema_decay):
            return {
                "params": state.params["generator"],
                "model_state": state.model_state["generator"],
            }
        average = state.extra["average"]
        decay = jnp.minimum(self.ema_decay, state.step / (state.step + 10))
        params = jax.tree.map(
            lambda kept, new: new + (kept - new) * decay.astype(new.dtype),
            average["params"],
            state.params["generator"],
        )
        passed = self._make(params, average["model_state"], drawn)
        return {"params": params, "model_state": passed.model_state}

    def _descend(
        self, state: State, name: str, mean_loss: Callable[[PyTree], tuple[Array, Any]]
    ) -> tuple[State, Metrics]:
        """Update one of the models; `mean_loss` also returns its collections."""
        params, opt_state, _, (measured, kept) = descend(
            state.params[name], state.opt_state[name], mean_loss, self.updates[name]
        )
        state = state._replace(
            params={**state.params, name: params},
            opt_state={**state.opt_state, name: opt_state},
            model_state={**state.model_state, name: kept},
        )
        return state, measured
