"""The timed programs of an operation: the interface shared by all frameworks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from bench.ops.draws import Arrays

Use = Literal["forward", "training", "loop"]
"""The operation alone; with the gradients of all arrays, for a given gradient of the
output; or steps of gradient descent on all arrays, in JAX in one compiled loop, in
PyTorch and TensorFlow in a Python loop."""

USES: tuple[Use, ...] = ("forward", "training", "loop")

RATE, FIRST_STEPS = 1e-3, 2


class Program(NamedTuple):
    """An operation in one use, ready to be timed.

    Attributes:
        first: Returns the results by name, in fdl's layout: the output and the
            gradients or, for a loop, all arrays after `FIRST_STEPS` steps.
        run: Runs it a number of times and waits for the end.
        facts: Seconds of compilation and bytes of temporary memory, if known.
    """

    first: Callable[[], Arrays]
    run: Callable[[int], Any]
    facts: Mapping[str, float] = MappingProxyType({})
