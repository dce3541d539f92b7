"""Learning of codes from which images can be reconstructed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array, Number, PyTree, Seed, is_on, unit_scale
from fdl.learner import Learner, State
from fdl.learners.content import content_keys
from fdl.learners.descent import Optimizer, descend, start, update_of
from fdl.learners.targets import inputs_of
from fdl.losses import bernoulli_nll
from fdl.metrics import Metrics, mean
from fdl.ranges import require_number


def reconstructive(
    model: Any,
    optimizer: Optimizer,
    *,
    noise: Number = 0.0,
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Return a learner of a (denoising) autoencoder (Hinton & Salakhutdinov, 2006).

    A step descends on the mean over the batch of `-log p(image)` in nats, with the
    model's reconstruction as the probabilities of the pixels. With `noise`, the model
    must reconstruct images from corrupted ones (Vincent et al., 2008, denoising
    autoencoders), in which each pixel is set to 0 with that probability.

    Batches are images, or tuples with images first. The metrics, both per image, are
    `loss` and `squared_error`, the sum over pixels that the paper reports. In
    `evaluate`, the corruption is fixed: that of an image depends only on its pixels.

    Args:
        model: A module that returns the logits of pixels, called as `model(image)`.
        optimizer: Any optax gradient transformation.
        noise: Fraction of the pixels that are set to 0, in [0, 1).
        preprocess: Function of images, applied on the device; by default, it scales
            8-bit pixels to [0, 1].

    Returns:
        A learner whose predictions are reconstructions in [0, 1]; `predict` does not
        corrupt images.

    Raises:
        ValueError: If `noise` is out of range.

    Example:
        >>> import fdl, optax
        >>> learner = reconstructive(fdl.models.Autoencoder(), optax.adam(1e-3))
        >>> batch = (jnp.ones((8, 28, 28, 1)),)
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> int(state.step), sorted(measured)
        (1, ['loss', 'squared_error'])
    """
    require_number("[0, 1)", noise=noise)
    update = update_of(optimizer)

    def measure(logits: Array, losses: Array, image: Array) -> Metrics:
        errors = (jax.nn.sigmoid(logits) - image) ** 2
        return {
            "loss": mean(losses),
            "squared_error": mean(jnp.sum(errors, axis=(-3, -2, -1))),
        }

    def init(key: Seed, batch: PyTree) -> State:
        return start(model, optimizer, key, preprocess(inputs_of(batch)[:1]))

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        image = preprocess(inputs_of(batch))
        key = jax.random.fold_in(state.key, state.step)
        given = damage(image, jax.random.split(key, len(image)), noise)

        def mean_loss(params: PyTree) -> tuple[Array, tuple[Array, Array]]:
            logits = model.apply({"params": params}, given)
            losses = bernoulli_nll(logits, image)
            return jnp.mean(losses), (logits, losses)

        params, opt_state, _, (logits, losses) = descend(
            state.params, state.opt_state, mean_loss, update
        )
        state = state._replace(step=state.step + 1, params=params, opt_state=opt_state)
        return state, measure(logits, losses, image)

    def evaluate(state: State, batch: PyTree) -> Metrics:
        image = preprocess(inputs_of(batch))
        given = damage(image, content_keys(inputs_of(batch)), noise)
        logits = model.apply({"params": state.params}, given)
        return measure(logits, bernoulli_nll(logits, image), image)

    def predict(state: State, inputs: PyTree) -> Array:
        logits = model.apply({"params": state.params}, preprocess(inputs))
        return jax.nn.sigmoid(logits)

    return Learner(init, step, evaluate, predict)


def damage(image: Array, keys: Array, noise: Number) -> Array:
    """Set each pixel to 0 with probability `noise`, with a random key for each image.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> bool(damage(jnp.ones((2, 28, 28, 1)), keys, 0.3).mean().round(1) == 0.7)
        True
    """
    if not is_on(noise):
        return image
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - noise, image.shape[1:]))
    return jnp.where(kept(keys), image, jnp.zeros((), image.dtype))
