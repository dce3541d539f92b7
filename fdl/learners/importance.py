"""Likelihood of images under a variational autoencoder, by importance sampling."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array, Key, Seed, as_key, unit_scale
from fdl.learner import State
from fdl.losses import bernoulli_nll
from fdl.ranges import require_whole


def importance_weighted_bound(
    model: Any,
    state: State,
    image: Array,
    key: Seed,
    *,
    samples: int = 500,
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Float[Array, " batch"]:
    """Return a lower bound of `log p(image)` in nats (Burda et al., 2016, IWAE).

    `log (1/k) sum_i p(image, z_i) / q(z_i | image)` with k draws from the encoder's
    distribution (arXiv:1509.00519, equation 8). Its expectation is the evidence lower
    bound for one sample, rises with the number of samples, and tends to `log p(image)`.

    Samples are drawn one after the other for the whole batch, so that memory does not
    grow with their number.

    Args:
        model: A module like `fdl.models.VAE`.
        state: State of the learner `variational` that trained it.
        image: Images, as the learner takes them.
        key: Random key, or a seed.
        samples: Number of draws for each image, at least 1.
        preprocess: Function of images, applied on the device, as in the learner.

    Raises:
        ValueError: If `samples` is below 1.

    Example:
        >>> import fdl, optax
        >>> model = fdl.models.VAE()
        >>> learner = fdl.learners.variational(model, optax.adam(1e-3))
        >>> images = jnp.ones((8, 28, 28, 1))
        >>> state = learner.init(jax.random.key(0), (images,))
        >>> importance_weighted_bound(
        ...     model, state, images, jax.random.key(1), samples=5
        ... ).shape
        (8,)
    """
    require_whole("[1, inf)", samples=samples)
    image, key = preprocess(image), as_key(key)
    variables = {"params": state.params}
    mean, logvar = model.apply(variables, image, method="encode")

    def log_weight(key: Key) -> Float[Array, " batch"]:
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        z = mean + jnp.exp(0.5 * logvar) * noise
        logits = model.apply(variables, z, method="decode")
        # log p(z) - log q(z | image); their constants cancel.
        ratio = 0.5 * jnp.sum(noise**2 + logvar - z**2, axis=-1)
        return ratio - bernoulli_nll(logits, image)

    def add(i: Array, total: Array) -> Array:
        return jnp.logaddexp(total, log_weight(jax.random.fold_in(key, i)))

    nothing = jnp.full(mean.shape[:-1], -jnp.inf, mean.dtype)
    total = lax.fori_loop(0, samples, add, nothing)
    return total - np.log(samples).astype(mean.dtype)
