"""Hyperparameters in the state, and many training runs in one learner."""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Int

from fdl.arrays import PyTree, Seed, Seeds, as_keys
from fdl.learner import Learner, State, require_learner
from fdl.plain import Strategy
from fdl.ranges import require_whole

MakeLearner = Callable[[Any], Learner]
"""A function from the hyperparameters of one run to its learner."""


class Each(NamedTuple):
    """A batch for each member.

    Attributes:
        batch: A batch whose arrays have an additional first axis of members.
    """

    batch: PyTree


def tunable(make_learner: MakeLearner, hparams: PyTree) -> Learner:
    """Make a learner whose hyperparameters are arrays in its state.

    `optax.inject_hyperparams` does this for an optimizer; here any number in a learner
    can be one: a dropout rate, label smoothing, the weight of a loss term. One compiled
    program serves all values, including those set in the state:
    `state._replace(hparams={"learning_rate": jnp.float32(1e-4)})`.

    Args:
        make_learner: `hparams -> learner`. It is called with numbers to validate them,
            and with arrays during tracing, so it must not branch on them. A tunable
            learner trains with its own hyperparameters.
        hparams: A pytree of numbers or arrays.

    Raises:
        ValueError: If `make_learner` rejects the numbers.

    Example:
        >>> import fdl, optax
        >>> def make_learner(hparams):
        ...     model, adam = fdl.models.MLP(10), optax.adam(hparams["learning_rate"])
        ...     return fdl.learners.supervised(model, fdl.losses.cross_entropy, adam)
        >>> learner = tunable(make_learner, {"learning_rate": 1e-3})
        >>> batch = fdl.Batch(jnp.ones((4, 28, 28, 1)), jnp.arange(4))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state.hparams
        {'learning_rate': Array(0.001, dtype=float32)}
    """
    make_learner(jax.tree.map(_plain, hparams))  # raises if they are invalid
    arrays = jax.tree.map(_as_array, hparams)

    def init(key: Seed, batch: PyTree) -> State:
        return make_learner(arrays).init(key, batch)._replace(hparams=arrays)

    # Their names only: with the arrays, other values would be another program.
    wanted = _names(arrays)

    def made(state: State) -> tuple[Learner, State]:
        """Return the learner, and the state for it: it may be tunable itself."""
        found = _names(state.hparams)
        if found != wanted:
            raise ValueError(
                f"the state has {found}, but the learner takes {wanted}: use the "
                "learner that trained it, or state._replace(hparams=learner.hparams)."
            )
        learner = make_learner(state.hparams)
        if learner.tune is None:
            return learner, state
        return learner, state._replace(hparams=learner.hparams)

    def step(state: State, batch: PyTree) -> Any:
        learner, own = made(state)
        found, measured = learner.step(own, batch)
        return found._replace(hparams=state.hparams), measured

    def evaluate(state: State, batch: PyTree) -> Any:
        learner, own = made(state)
        return learner.evaluate(own, batch)

    def predict(state: State, inputs: PyTree) -> Any:
        learner, own = made(state)
        return learner.predict(own, inputs)

    return Learner(
        init=init,
        step=step,
        evaluate=evaluate,
        predict=predict,
        check=lambda state, data: make_learner(arrays).check(state, data),
        hparams=arrays,
        tune=lambda hparams: tunable(make_learner, hparams),
    )


def _names(hparams: PyTree) -> str:
    found = jax.tree.leaves_with_path(hparams)
    names = [
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in found
    ]
    return f"the hyperparameters {', '.join(names)}" if names else "no hyperparameters"


def many(
    learner: Learner,
    n: int,
    *,
    hparams: PyTree | None = None,
    strategy: Strategy = "vmap",
) -> Learner:
    """Make a learner that trains `n` members, each like the given learner.

    Every array of its state, metrics and predictions has a first axis of members. Up to
    rounding, member `k` is the learner trained by itself with `keys[k]` and the k-th
    hyperparameters.

    `init` takes a key or seed for each member, or a single one, which it splits. All
    members see the same batch, unless it is an `Each`.

    Args:
        learner: The learner of each member.
        n: Number of members, at least 1.
        hparams: Hyperparameters of a tunable learner, as arrays whose first axis counts
            members; None for the learner's own in all members.
        strategy: See `Strategy`.

    Raises:
        ValueError: If an argument is out of range, or a member's hyperparameters are
            invalid.

    Example:
        >>> import fdl, optax
        >>> one = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> batch = fdl.Batch(jnp.ones((4, 28, 28, 1)), jnp.arange(4))
        >>> learner = many(one, 3)
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, measured = jax.jit(learner.step)(state, batch)
        >>> measured["loss"].total.shape, state.params["head"]["bias"].shape
        ((3,), (3, 10))
    """
    require_learner(learner)
    require_whole("[1, inf)", n=n)
    if strategy not in get_args(Strategy):
        names = ", ".join(get_args(Strategy))
        raise ValueError(f"strategy={strategy!r} must be one of {names}.")
    rows = _rows(learner, hparams, n)
    # Close over the functions of the learner, not over its hyperparameters, so that one
    # program of a step serves all values.
    draw, update, measure, answer, check, _, tune = learner

    def over(function: Callable[..., Any], *mapped: PyTree) -> Any:
        if strategy == "vmap":
            return jax.vmap(function)(*mapped)
        if n == 1:  # a loop of one would only keep XLA from optimizing across it
            one = function(*jax.tree.map(lambda x: x[0], mapped))
            return jax.tree.map(lambda x: jnp.asarray(x)[None], one)
        return lax.map(lambda one: function(*one), mapped)

    def init(key: Seed | Seeds, batch: PyTree) -> State:
        keys = as_keys(key, "key")
        keys = keys if keys.ndim else jax.random.split(keys, n)
        if keys.shape != (n,):
            raise ValueError(
                f"key has shape {keys.shape}, but there are {n} members: pass one key, "
                "or one for each member, such as jax.random.split(key, n)."
            )
        if tune is None:
            return over(lambda key: draw(key, batch), keys)
        make = tune
        return over(lambda key, row: make(row).init(key, batch), keys, rows)

    def step(state: State, batch: PyTree) -> Any:
        if isinstance(batch, Each):
            return over(update, state, batch.batch)
        return over(lambda state: update(state, batch), state)

    return Learner(
        init=init,
        step=step,
        evaluate=lambda state, batch: over(lambda one: measure(one, batch), state),
        predict=lambda state, inputs: over(lambda one: answer(one, inputs), state),
        check=lambda state, data: check(_first(state), data),
        hparams=rows,
        tune=None if tune is None else _tune_many(tune, n, strategy),
    )


def member(
    many: PyTree, index: int | np.integer | slice | Int[np.ndarray, " some"]
) -> PyTree:
    """Return one or several members of a state of many.

    Example:
        >>> keys = jax.random.split(jax.random.key(0))
        >>> int(member(State(jnp.int32([5, 6]), {}, keys), 1).step)
        6
    """
    return jax.tree.map(lambda x: x[index], many)


def _first(state: State) -> State:
    """Return the first member of a state, or of the shapes of one."""
    if isinstance(state.step, jax.ShapeDtypeStruct):
        return jax.eval_shape(lambda state: member(state, 0), state)
    return member(state, 0)


def _tune_many(
    tune: Callable[[PyTree], Learner], n: int, strategy: Strategy
) -> Callable[[PyTree], Learner]:
    return lambda rows: many(tune(member(rows, 0)), n, hparams=rows, strategy=strategy)


def _rows(learner: Learner, hparams: PyTree | None, n: int) -> PyTree:
    """Return the hyperparameters of members as arrays, after checking each."""
    if hparams is None:
        spread = lambda x: jnp.broadcast_to(x, (n, *x.shape))
        return jax.tree.map(spread, learner.hparams)
    if learner.tune is None:
        raise ValueError(
            "the learner has no hyperparameters in its state: make it with tunable()."
        )
    check_rows(hparams, n)
    if any(isinstance(x, Tracer) for x in jax.tree.leaves(hparams)):
        return hparams  # inside a program; the numbers were checked before
    for k in range(n):
        try:
            learner.tune(member(hparams, k))
        except ValueError as error:
            raise ValueError(f"member {k}: {error}") from error
    return jax.tree.map(_as_array, hparams)


def check_rows(hparams: PyTree, n: int) -> None:
    """Raise ValueError unless each hyperparameter has a row for each of n members."""
    for path, x in jax.tree_util.tree_leaves_with_path(hparams):
        if np.ndim(x) < 1 or len(x) != n:
            raise ValueError(
                f"hparams{jax.tree_util.keystr(path)} has shape {np.shape(x)}, but "
                f"there are {n} members: pass arrays, whose first axis must count "
                f"members, such as np.full({n}, 0.1)."
            )


def _plain(x: Any) -> Any:
    """Return a scalar as a Python number, which learners validate."""
    traced = isinstance(x, Tracer)
    return x if traced or np.ndim(x) else np.asarray(x).item()


def _as_array(x: Any) -> jax.Array:
    """Return a number as an array that is not weakly typed."""
    if isinstance(x, jax.Array):
        return x
    # Python numbers are weakly typed, which would compile another program.
    return jnp.asarray(np.asarray(x))
