"""Learning to make examples: a generator and a discriminator against each other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array, Key, Number, PyTree, is_concrete, is_on, unit_scale
from fdl.learner import Learner, State
from fdl.learners.descent import update
from fdl.losses import AdversarialLoss, gradient_penalty
from fdl.metrics import Metrics, mean

_EVALUATION = 0  # seed of the latents that every evaluation uses


class Draws(NamedTuple):
    """What one update draws.

    Attributes:
        latent: From the normal distribution, one row for each example.
        mix: Uniform in [0, 1), for the gradient penalty.
        dropout: Key of the discriminator's dropout.
    """

    latent: Float[Array, "batch latent"]
    mix: Float[Array, " batch"]
    dropout: Key


def draw(key: Key, count: int, latent_size: int, dtype: Any = jnp.float32) -> Draws:
    """Draw for one update of the discriminator, or of the generator.

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
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent_size: int,
    discriminator_steps: int = 1,
    average_decay: Number = 0.999,
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Make a learner of two models (Goodfellow et al., 2014, arXiv:1406.2661).

    A step updates the discriminator `k` times on the batch against fresh examples of
    the generator, then the generator once on as many fresh latents: the paper's
    algorithm 1, except that the `k` updates see the same real examples. What it draws
    comes from `split(fold_in(state.key, state.step), k + 1)`, see `draw`.

    Batch statistics: real and made examples pass the discriminator separately, each
    normalized by its own statistics, as in DCGAN and in TensorFlow's tutorial; it
    records those of the real ones, then of the made ones, in its own updates only. The
    generator records in its own update only.

    The generator that is used after training is a moving average of the one that is
    trained (Yaz et al., 2019, arXiv:1806.04498; Karras et al., 2018, arXiv:1710.10196),
    in `batch_stats["average"]`. It keeps running statistics of its own, found by
    passing the step's latents through it, since those of the trained one do not fit.

    Args:
        generator: A Linen module, latents `(batch, latent_size)` to images in [-1, 1],
            called with `train=...`. It may keep `batch_stats`.
        discriminator: A Linen module, images to logits `(batch, 1)`, called with
            `train=...`. It may keep `batch_stats` and draw from the key `dropout`.
        loss: One of `fdl.losses`: `minimax`, `non_saturating`, `least_squares`,
            `wasserstein_gp`.
        generator_optimizer: Any optax gradient transformation.
        discriminator_optimizer: Likewise.
        latent_size: Numbers that an image is made of, at least 1.
        discriminator_steps: The `k` of the paper, at least 1.
        average_decay: Fraction of the moving average that is kept in a step, in [0, 1);
            0 for the trained generator itself. Step `t`, from 0, keeps no more than
            `t / (t + 10)`, so that what was drawn at the start is soon forgotten.
        preprocess: What is done to images, on the device; gives numbers in [0, 1]. The
            models then work in [-1, 1].

    Returns:
        A learner whose batches are tuples with images first, whose parameters and
        optimizer states are dictionaries of `generator` and `discriminator`, and whose
        predictions are images in [0, 1] from latents, by the averaged generator. Its
        metrics are both losses, and the mean logits of real and made examples; an
        evaluation takes the averaged generator, always the same latents, and no
        penalty.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import fdl
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
        >>> state, measured = learner.step(state, batch)
        >>> learner.predict(state, jnp.zeros((3, 8))).shape
        (3, 28, 28, 1)
    """
    counts = {"latent_size": latent_size, "discriminator_steps": discriminator_steps}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count} must be at least 1.")
    if is_concrete(average_decay) and not 0 <= average_decay < 1:
        raise ValueError(f"average_decay={average_decay} must be in [0, 1).")

    def signed(batch: PyTree) -> Array:
        return 2 * preprocess(batch[0]) - 1

    def make(params: PyTree, batch_stats: PyTree, latent: Array) -> tuple[Array, Any]:
        images, updated = generator.apply(
            {"params": params, "batch_stats": batch_stats},
            latent,
            train=True,
            mutable=["batch_stats"],
        )
        return images, updated.get("batch_stats", {})

    def judge(
        params: PyTree, batch_stats: PyTree, images: Array, key: Key
    ) -> tuple[Array, Any]:
        logits, updated = discriminator.apply(
            {"params": params, "batch_stats": batch_stats},
            images,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        return logits[..., 0], updated.get("batch_stats", {})

    def init(key: Key, batch: PyTree) -> State:
        generator_key, discriminator_key, run_key = jax.random.split(key, 3)
        images = signed(batch)[:1]
        latent = jnp.zeros((1, latent_size), images.dtype)
        variables = {
            "generator": generator.init(generator_key, latent),
            "discriminator": discriminator.init(discriminator_key, images),
        }
        params = {name: each["params"] for name, each in variables.items()}
        stats = {name: each.get("batch_stats", {}) for name, each in variables.items()}
        average = {"params": params["generator"], "batch_stats": stats["generator"]}
        return State(
            step=jnp.int32(0),
            params=params,
            batch_stats={**stats, "average": jax.tree.map(jnp.array, average)},
            opt_state={
                "generator": generator_optimizer.init(params["generator"]),
                "discriminator": discriminator_optimizer.init(params["discriminator"]),
            },
            key=run_key,
        )

    def update_discriminator(state: State, images: Array, key: Key) -> Any:
        drawn = draw(key, len(images), latent_size, images.dtype)
        made, _ = make(
            state.params["generator"], state.batch_stats["generator"], drawn.latent
        )
        real_key, fake_key, penalty_key = jax.random.split(drawn.dropout, 3)

        def mean_loss(params: PyTree) -> tuple[Array, Any]:
            stats = state.batch_stats["discriminator"]
            real, stats = judge(params, stats, images, real_key)
            fake, stats = judge(params, stats, made, fake_key)
            losses = loss.discriminator(real, fake)
            if loss.penalty:
                critic = lambda x: judge(params, stats, x, penalty_key)[0]
                penalties = gradient_penalty(critic, images, made, drawn.mix)
                losses = losses + loss.penalty * penalties
            measured = {
                "discriminator_loss": mean(losses),
                "real_logit": mean(real),
                "fake_logit": mean(fake),
            }
            return jnp.mean(losses), (measured, stats)

        return _update(state, "discriminator", mean_loss, discriminator_optimizer)

    def update_generator(state: State, count: int, dtype: Any, key: Key) -> Any:
        drawn = draw(key, count, latent_size, dtype)

        def mean_loss(params: PyTree) -> tuple[Array, Any]:
            made, stats = make(params, state.batch_stats["generator"], drawn.latent)
            fake, _ = judge(
                state.params["discriminator"],
                state.batch_stats["discriminator"],
                made,
                drawn.dropout,
            )
            losses = loss.generator(fake)
            return jnp.mean(losses), ({"generator_loss": mean(losses)}, stats)

        state, measured = _update(state, "generator", mean_loss, generator_optimizer)
        batch_stats = {**state.batch_stats, "average": averaged(state, drawn.latent)}
        return state._replace(batch_stats=batch_stats), measured

    def averaged(state: State, latent: Array) -> dict[str, PyTree]:
        if not is_on(average_decay):
            return {
                "params": state.params["generator"],
                "batch_stats": state.batch_stats["generator"],
            }
        average = state.batch_stats["average"]
        decay = jnp.minimum(average_decay, state.step / (state.step + 10))
        params = jax.tree.map(
            lambda kept, new: new + (kept - new) * decay.astype(new.dtype),
            average["params"],
            state.params["generator"],
        )
        _, stats = make(params, average["batch_stats"], latent)
        return {"params": params, "batch_stats": stats}

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        images = signed(batch)
        key = jax.random.fold_in(state.key, state.step)
        keys = jax.random.split(key, discriminator_steps + 1)
        # A loop, so that k updates compile as fast as one.
        state, each = lax.scan(
            lambda state, key: update_discriminator(state, images, key),
            state,
            keys[:-1],
        )
        measured = jax.tree.map(lambda values: jnp.sum(values, axis=0), each)
        state, its = update_generator(state, len(images), images.dtype, keys[-1])
        return state._replace(step=state.step + 1), {**measured, **its}

    def sample(state: State, latent: Array) -> Array:
        return generator.apply(state.batch_stats["average"], latent, train=False)

    def evaluate(state: State, batch: PyTree) -> Metrics:
        images = signed(batch)
        key = jax.random.key(_EVALUATION)
        made = sample(state, draw(key, len(images), latent_size, images.dtype).latent)
        variables = {
            "params": state.params["discriminator"],
            "batch_stats": state.batch_stats["discriminator"],
        }
        real, fake = (
            discriminator.apply(variables, each, train=False)[..., 0]
            for each in (images, made)
        )
        return {
            "discriminator_loss": mean(loss.discriminator(real, fake)),
            "generator_loss": mean(loss.generator(fake)),
            "real_logit": mean(real),
            "fake_logit": mean(fake),
        }

    def predict(state: State, latents: Array) -> Array:
        return (sample(state, latents) + 1) / 2

    return Learner(init, step, evaluate, predict)


def _update(
    state: State,
    name: str,
    mean_loss: Callable[[PyTree], tuple[Array, Any]],
    optimizer: optax.GradientTransformation,
) -> tuple[State, Metrics]:
    """Make a step of one of the two models; `mean_loss` gives its statistics too."""
    params, opt_state, _, (measured, stats) = update(
        state.params[name], state.opt_state[name], mean_loss, optimizer
    )
    state = state._replace(
        params={**state.params, name: params},
        opt_state={**state.opt_state, name: opt_state},
        batch_stats={**state.batch_stats, name: stats},
    )
    return state, measured
