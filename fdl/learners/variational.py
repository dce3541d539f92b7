"""Variational learning of latents, by the evidence lower bound."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array, Number, PyTree, Seed, unit_scale
from fdl.learner import Learner, State
from fdl.learners.content import content_normal
from fdl.learners.descent import Optimizer, descend, start, update_of
from fdl.learners.targets import inputs_of
from fdl.losses import bernoulli_nll, standard_normal_kl
from fdl.metrics import Mean, Metrics, mean
from fdl.ranges import require_number


def variational(
    model: Any,
    optimizer: Optimizer,
    *,
    beta: Number = 1.0,
    free_bits: Number = 0.0,
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Return a learner of a variational autoencoder (Kingma & Welling, 2014).

    A step descends, averaged over the batch, on

        reconstruction + beta * sum_j max(free_bits, kl_j)

    with `reconstruction = -log p(image | z)` in nats for one draw of `z`, and `kl_j`
    the mean over the batch of latent j's divergence from the prior.

    Batches are images, or tuples with images first. The metrics, in nats per image, are
    `reconstruction`; `kl`, summed over latents; `elbo`, minus their sum, regardless of
    `beta` and `free_bits`; and `loss`, on which a step descends. In `evaluate`, `loss`
    ignores `free_bits`, which apply to a batch, not to an image, and the noise of an
    image depends only on its pixels. So the result depends neither on a random key nor
    on how images are batched.

    Args:
        model: A module like `fdl.models.VAE`, called as `model(image, noise)`, with
            `latent_size` and the methods `encode` and `decode`.
        optimizer: Any optax gradient transformation.
        beta: Weight of the divergence, at least 0; 1 for the bound itself (Higgins et
            al., 2017, beta-VAE).
        free_bits: Nats per latent that are not penalized, at least 0, so that latents
            stay in use (Kingma et al., 2016, arXiv:1606.04934, equation 15, with a
            group for each latent).
        preprocess: Function of images, applied on the device; by default, it scales
            8-bit pixels to [0, 1].

    Returns:
        A learner whose predictions are reconstructions in [0, 1] from the means of the
        latents.

    Raises:
        ValueError: If `beta` or `free_bits` is below 0.

    Example:
        >>> import fdl, optax
        >>> learner = variational(fdl.models.VAE(), optax.adam(1e-3))
        >>> batch = (jnp.ones((8, 28, 28, 1)),)
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> int(state.step), sorted(measured)
        (1, ['elbo', 'kl', 'loss', 'reconstruction'])
    """
    require_number("[0, inf)", beta=beta, free_bits=free_bits)
    update = update_of(optimizer)

    def bound(
        params: PyTree, image: Array, noise: Array
    ) -> tuple[Float[Array, " batch"], Float[Array, "batch latent"]]:
        """Return the two terms of the bound."""
        logits, *posterior = model.apply({"params": params}, image, noise)
        return bernoulli_nll(logits, image), standard_normal_kl(*posterior)

    def measure(reconstruction: Array, kl: Array) -> Metrics:
        kl = jnp.sum(kl, axis=-1)
        return {
            "elbo": mean(-reconstruction - kl),
            "reconstruction": mean(reconstruction),
            "kl": mean(kl),
        }

    def init(key: Seed, batch: PyTree) -> State:
        image = preprocess(inputs_of(batch)[:1])
        noise = jnp.zeros((1, model.latent_size), image.dtype)
        return start(model, optimizer, key, (image, noise))

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        image = preprocess(inputs_of(batch))
        key = jax.random.fold_in(state.key, state.step)
        noise = jax.random.normal(key, (len(image), model.latent_size), image.dtype)

        def loss(params: PyTree) -> tuple[Array, tuple[Array, Array]]:
            reconstruction, kl = bound(params, image, noise)
            cost = jnp.maximum(jnp.mean(kl, axis=0), free_bits)
            return jnp.mean(reconstruction) + beta * jnp.sum(cost), (reconstruction, kl)

        params, opt_state, value, parts = descend(
            state.params, state.opt_state, loss, update
        )
        state = state._replace(step=state.step + 1, params=params, opt_state=opt_state)
        count = jnp.float32(len(image))
        whole = Mean(value * count, count)
        return state, {"loss": whole, **measure(*parts)}

    def evaluate(state: State, batch: PyTree) -> Metrics:
        image = preprocess(inputs_of(batch))
        noise = content_normal(inputs_of(batch), model.latent_size, image.dtype)
        reconstruction, kl = bound(state.params, image, noise)
        loss = mean(reconstruction + beta * jnp.sum(kl, axis=-1))
        return {"loss": loss, **measure(reconstruction, kl)}

    def predict(state: State, inputs: PyTree) -> Array:
        variables = {"params": state.params}
        mean, _ = model.apply(variables, preprocess(inputs), method="encode")
        return jax.nn.sigmoid(model.apply(variables, mean, method="decode"))

    return Learner(init, step, evaluate, predict)
