"""Training of some of the parameters."""

from collections.abc import Sequence
from typing import Any

import jax

from fdl.arrays import PyTree, Seed, is_matched
from fdl.learner import Learner, State
from fdl.metrics import Metrics


def frozen(learner: Learner, patterns: Sequence[str]) -> Learner:
    """Return a learner that leaves some parameters unchanged, bit for bit.

    Other collections of the model under the same paths, such as running statistics,
    also stay unchanged. With `fdl.nn.Frozen` around the model, a frozen batch
    normalization also normalizes by these statistics in training, as in Keras.

    Args:
        learner: Any learner of one member.
        patterns: What to freeze: paths of parameters or modules, such as `conv1`, or
            shell patterns of them, such as `conv*` or `*/bias`. Freezing a module
            freezes everything in it.

    Raises:
        ValueError: In `init`, if a pattern matches nothing, or nothing is left to
            train.

    Example:
        >>> import fdl, jax, jax.numpy as jnp, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> learner = frozen(learner, ["dense1"])
        >>> batch = fdl.Batch(jnp.ones((8, 28, 28, 1)), jnp.arange(8))
        >>> start = learner.init(jax.random.key(0), batch)
        >>> state, _ = jax.jit(learner.step)(start, batch)
        >>> [bool((state.params[name]["kernel"] == start.params[name]["kernel"]).all())
        ...     for name in ("dense1", "head")]
        [True, False]
    """
    patterns = tuple(patterns)
    draw, update = learner.init, learner.step

    def init(key: Seed, batch: PyTree) -> State:
        state = draw(key, batch)
        _check(patterns, state.params)
        return state

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        new, measured = update(state, batch)
        kept = {
            name: _restore(patterns, collection, new.model_state[name])
            for name, collection in state.model_state.items()
        }
        params = _restore(patterns, state.params, new.params)
        return new._replace(params=params, model_state=kept), measured

    made = learner._replace(init=init, step=step)
    tune = learner.tune
    if tune is None:
        return made
    return made._replace(tune=lambda hparams: frozen(tune(hparams), patterns))


def _restore(patterns: tuple[str, ...], old: PyTree, new: PyTree) -> PyTree:
    def pick(path: Any, before: Any, after: Any) -> Any:
        return before if is_matched(_name(path), patterns) else after

    return jax.tree_util.tree_map_with_path(pick, old, new)


def _check(patterns: tuple[str, ...], params: PyTree) -> None:
    names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        if not any(is_matched(name, [pattern]) for name in names):
            parts = dict.fromkeys(name.partition("/")[0] for name in names)
            raise ValueError(
                f"freeze={pattern!r} matches no parameter of the model; its parts are "
                f"{', '.join(parts)}."
            )
    if all(is_matched(name, patterns) for name in names):
        raise ValueError(
            f"freeze={', '.join(patterns)} leaves no parameter to train: freeze less."
        )


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
