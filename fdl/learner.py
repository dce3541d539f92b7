"""The interface of a learner: a few pure functions and the state they share."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Int

from fdl.arrays import Array, Key, PyTree, Seed
from fdl.metrics import Metrics


class State(NamedTuple):
    """Everything that training needs to continue, as one pytree.

    Saving it saves the run, mapping over it trains many, sharding it trains on many
    devices.

    Attributes:
        step: Number of updates made so far.
        params: Parameters of the model.
        key: Random key of the run; the randomness of a step depends on it and `step`
            alone.
        opt_state: State of the optimizer.
        model_state: The model's collections other than its parameters, such as
            `{"batch_stats": ...}`; empty if there are none.
        hparams: Hyperparameters as arrays, for learners made by `fdl.tunable`. A step
            reads them here, so changing a value does not recompile.
        extra: Other state of the learner by name, such as moving averages.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> state = State(jnp.int32(0), {"kernel": jnp.ones(3)}, jax.random.key(0))
        >>> state.variables
        {'params': {'kernel': Array([1., 1., 1.], dtype=float32)}}
    """

    step: Int[Array, "*members"]
    params: PyTree
    key: Key
    opt_state: PyTree = ()
    model_state: PyTree = {}  # noqa: RUF012 - states are never changed in place
    hparams: PyTree = {}  # noqa: RUF012
    extra: PyTree = {}  # noqa: RUF012

    def __repr__(self) -> str:
        """Return the step and the number of parameters."""
        shapes = (np.shape(x) for x in jax.tree.leaves(self.params))
        count = sum(map(math.prod, shapes))
        known = isinstance(self.step, Array) and not isinstance(self.step, Tracer)
        return f"State(step={self.step if known else '?'}, {count:,} parameters)"

    @property
    def variables(self) -> dict[str, PyTree]:
        """Variables by collection, as `apply` takes them for one model."""
        return {"params": self.params, **self.model_state}

    def with_variables(self, variables: Mapping[str, PyTree]) -> "State":
        """Return a state with other variables, which also replace its moving average.

        Args:
            variables: Variables by collection, such as those of a file. A module that
                is not among them keeps its own: a new head on a loaded backbone.

        Raises:
            ValueError: If the model lacks one of them, or has it in another shape.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> params = {"body": {"bias": jnp.ones(2)}, "head": {"bias": jnp.ones(3)}}
            >>> state = State(jnp.int32(0), params, jax.random.key(0))
            >>> loaded = {"params": {"body": {"bias": jnp.zeros(2)}}}
            >>> state.with_variables(loaded).params["body"]["bias"]
            Array([0., 0.], dtype=float32)
        """
        name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
        leaves = jax.tree_util.tree_leaves_with_path(variables)
        found = {name(path): leaf for path, leaf in leaves}

        def pick(path: Any, own: Any) -> Any:
            new = found.pop(name(path), own)
            if new.shape != own.shape:
                raise ValueError(
                    f"{name(path)} has shape {list(new.shape)}, but the model needs "
                    f"{list(own.shape)}."
                )
            return new if new.dtype == own.dtype else jnp.asarray(new, own.dtype)

        kept = jax.tree_util.tree_map_with_path(pick, self.variables)
        if found:
            raise ValueError(f"{next(iter(found))} is not a variable of the model.")
        params = kept.pop("params")
        average = {"ema": params} if "ema" in self.extra else {}
        extra = {**self.extra, **average}
        return self._replace(params=params, model_state=kept, extra=extra)


def accept(state: Any, data: PyTree) -> None:
    """Accept any data: the `check` of learners that have no requirements."""


class Learner(NamedTuple):
    """A training method as pure functions.

    Attributes:
        init: `(key, batch) -> state`. Initializes parameters for inputs shaped like
            those in `batch`, whose values are not used. `key` may be a seed.
        step: `(state, batch) -> (state, metrics)`. Makes one update.
        evaluate: `(state, batch) -> metrics`. Makes no update, and its randomness does
            not depend on how examples are batched.
        predict: `(state, inputs) -> outputs`, an array or a named tuple of arrays.
        check: `(state, data) -> None`. Raises `DataError` for data that the learner
            cannot learn from. It reads values, so it is called once, outside compiled
            programs. `state` may consist of shapes alone.
        hparams: Hyperparameters that `init` puts into the state, as arrays; empty if
            there are none.
        tune: `hparams -> learner`, the same learner with other hyperparameters; None
            if its state holds none.
    """

    init: Callable[[Seed, PyTree], State]
    step: Callable[[State, PyTree], tuple[State, Metrics]]
    evaluate: Callable[[State, PyTree], Metrics]
    predict: Callable[[State, PyTree], PyTree]
    check: Callable[[State, PyTree], None] = accept
    hparams: PyTree = {}  # noqa: RUF012
    tune: Callable[[PyTree], "Learner"] | None = None


def require_learner(learner: Any) -> None:
    """Raise ValueError unless this is a learner.

    Example:
        >>> require_learner(Learner(None, None, None, None))
    """
    if not isinstance(learner, Learner):
        raise ValueError(
            f"learner is a {type(learner).__name__}: pass a Learner, such as "
            "fdl.learners.supervised(model, loss, optimizer)."
        )


def require_state(state: Any) -> None:
    """Raise ValueError unless this is the state of a learner.

    Example:
        >>> require_state({"kernel": np.ones(3)})
        Traceback (most recent call last):
        ...
        ValueError: state is a dict: pass a State, such as run.state.
    """
    if not isinstance(state, State):
        what = "its state" if hasattr(state, "state") else "a State, such as run.state"
        raise ValueError(f"state is a {type(state).__name__}: pass {what}.")
