"""What is timed of an operation: the interface that all frameworks have in common."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from bench.ops.draws import Arrays

Use = Literal["forward", "training", "loop"]
"""The operation alone; with the gradients of all arrays, for a given gradient of the
output; or steps of gradient descent on all arrays, in JAX in one compiled loop, in
PyTorch and TensorFlow in a loop of Python."""

USES: tuple[Use, ...] = ("forward", "training", "loop")

RATE, FIRST_STEPS = 1e-3, 2


class Program(NamedTuple):
    """An operation in one use, ready to be timed.

    Attributes:
        first: Return what it computes by name, in fdl's layout: the output, and with
            it the gradients, or, for a loop, all arrays after `FIRST_STEPS` steps.
        run: Run it a number of times and wait.
        facts: Seconds of compilation and bytes of temporary memory, where known.
    """

    first: Callable[[], Arrays]
    run: Callable[[int], Any]
    facts: Mapping[str, float] = MappingProxyType({})
