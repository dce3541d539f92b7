"""Learning to map one sequence to another, from pairs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from fdl import metrics
from fdl.arrays import Array, DataError, PyTree, Seed
from fdl.learner import Learner, State
from fdl.learners.descent import Optimizer
from fdl.learners.supervised import Loss, Metric, supervised
from fdl.learners.targets import Examples
from fdl.losses import cross_entropy
from fdl.metrics import Metrics

Search = Callable[[dict[str, PyTree], PyTree], PyTree]
"""`(variables, sources) -> answers`."""


def sequence_to_sequence(
    model: Any,
    optimizer: Optimizer,
    *,
    loss: Loss = cross_entropy,
    metrics: Mapping[str, Metric] | None = None,
    search: Search | None = None,
    start_token: int = 1,
    pad_token: int = 0,
) -> Learner:
    """Return a learner of a sequence-to-sequence model, by teacher forcing.

    The model predicts each token of a target from the true ones before it (Williams &
    Zipser, 1989). A batch is `(source, target)`, such as `fdl.Pairs`: tokens, padded at
    the end; a target ends with its end token and has no start token. The model is
    called as `model(source, read)`, where `read` is the start token followed by the
    target without its last position. The rest is `supervised`: the loss is the mean
    over the real tokens of the batch, all with the same weight, as in Keras with a
    mask; padding never counts.

    Args:
        model: A model of pairs, such as `fdl.models.Transformer`.
        optimizer: Any optax gradient transformation.
        loss: `(logits, targets) -> losses`, one for each token.
        metrics: As for `supervised`; None for `accuracy` and `perplexity` of tokens,
            given the true tokens before them, and `exact_match`, the fraction of
            targets that greedy search finds.
        search: `(variables, sources) -> answers`, the function for `predict`, such as
            the tokens that `fdl.models.beam_search` finds; None if `predict` is not
            needed.
        start_token: Token that the model reads before a target.
        pad_token: Padding token of sources and targets.

    Raises:
        ValueError: As for `supervised`.

    Example:
        >>> import fdl, jax, optax
        >>> encoder = fdl.nn.TransformerEncoder(num_layers=1, num_heads=2)
        >>> decoder = fdl.nn.TransformerDecoder(num_layers=1, num_heads=2)
        >>> model = fdl.models.Transformer(9, encoder, decoder, features=8, pad_token=0)
        >>> learner = sequence_to_sequence(model, optax.adam(1e-3))
        >>> batch = jnp.array([[3, 5, 4], [6, 7, 0]]), jnp.array([[5, 2], [2, 0]])
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> sorted(measured), float(measured["loss"].weight)
        (['accuracy', 'exact_match', 'loss', 'perplexity'], 3.0)
    """
    never = np.array([pad_token, start_token])
    inner = supervised(
        model,
        loss,
        optimizer,
        metrics=_measures(never) if metrics is None else metrics,
        preprocess=lambda tokens: tokens,
    )

    def forced(batch: PyTree) -> Examples:
        source, target = _pair(batch)
        return Examples(
            (jnp.asarray(source, jnp.int32), read_before(target, start_token)),
            jnp.asarray(target, jnp.int32),
            target != pad_token,
        )

    def init(key: Seed, batch: PyTree) -> State:
        return inner.init(key, forced(batch))

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        return inner.step(state, forced(batch))

    def evaluate(state: State, batch: PyTree) -> Metrics:
        return inner.evaluate(state, forced(batch))

    def predict(state: State, inputs: PyTree) -> PyTree:
        if search is None:
            raise ValueError(
                "this learner was created without a search, so it cannot predict: "
                "pass search=, such as one that calls fdl.models.beam_search."
            )
        return search(state.variables, inputs)

    def check(state: State, data: PyTree) -> None:
        for name, tokens in zip(("source", "target"), _pair(data), strict=True):
            _check_tokens(name, np.asarray(tokens), pad_token)
        inner.check(state, forced(data))

    return Learner(init, step, evaluate, predict, check)


def _measures(never: np.ndarray) -> dict[str, Metric]:
    """Return the default metrics; the tokens `never` cannot be answers."""

    def exact_match(outputs: Array, targets: Array, weights: Any) -> metrics.Mean:
        possible = jnp.asarray(outputs).at[..., never].set(-jnp.inf)
        return metrics.exact_match(possible, targets, weights)

    return {
        "accuracy": metrics.accuracy,
        "exact_match": exact_match,
        "perplexity": metrics.perplexity,
    }


def read_before(
    target: Integer[Array, "*batch time"], start_token: int = 1
) -> Integer[Array, "*batch time"]:
    """Return the token that a model reads before each token of a target.

    Example:
        >>> read_before(np.array([[5, 7, 2, 0]]))
        Array([[1, 5, 7, 2]], dtype=int32)
    """
    target = jnp.asarray(target, jnp.int32)
    first = jnp.full_like(target[..., :1], start_token)
    return jnp.concatenate([first, target[..., :-1]], axis=-1)


def _pair(batch: PyTree) -> tuple[Any, Any]:
    if isinstance(batch, tuple) and len(batch) == 2:
        source, target = batch
        return source, target
    what = f"a {type(batch).__name__}"
    if isinstance(batch, tuple):
        what = f"a tuple of {len(batch)}"
    elif isinstance(batch, Array):
        what = f"one array of shape {batch.shape}"
    raise DataError(f"the data are {what}: pass (source, target), such as fdl.Pairs.")


def _check_tokens(name: str, tokens: np.ndarray, pad_token: int) -> None:
    """Raise DataError unless these are nonempty sequences of tokens."""
    if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
        raise DataError(
            f"{name} is {tokens.dtype}{list(tokens.shape)}: pass integers of shape "
            "(batch, time), the tokens of each sequence."
        )
    empty = ~np.any(tokens != pad_token, axis=-1)
    if empty.any():
        raise DataError(
            f"{name} is empty in row {int(empty.argmax())} ({empty.sum()} such rows): "
            f"it contains only padding, the token {pad_token}. Leave the pair out."
        )
