"""What a learner is: pure functions, and the state that they hand on."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Int

from fdl.arrays import Array, Key, PyTree
from fdl.metrics import Metrics


class State(NamedTuple):
    """Everything that training needs to go on, as one pytree.

    Saving it saves the run, mapping over it trains many, sharding it trains on many
    devices.

    Attributes:
        step: Number of updates made so far.
        params: Parameters of the model.
        batch_stats: Running statistics of the model; empty if it keeps none.
        opt_state: State of the optimizer.
        key: Random key of the run; what a step draws comes from it and `step` alone.
    """

    step: Int[Array, "*members"]
    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree
    key: Key


class Learner(NamedTuple):
    """A way of learning, as four pure functions.

    Attributes:
        init: `(key, batch) -> state`. Draws parameters for inputs shaped like those
            in `batch`, whose values are not used.
        step: `(state, batch) -> (state, metrics)`. Makes one update.
        evaluate: `(state, batch) -> metrics`. No update, no randomness.
        predict: `(state, inputs) -> outputs`. What the trained model answers.
    """

    init: Callable[[Key, PyTree], State]
    step: Callable[[State, PyTree], tuple[State, Metrics]]
    evaluate: Callable[[State, PyTree], Metrics]
    predict: Callable[[State, PyTree], PyTree]
