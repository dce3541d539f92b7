"""Programs of operations in JAX: fdl's and XLA's own implementations."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.ops.draws import Arrays, Draw, cotangent
from bench.ops.programs import FIRST_STEPS, RATE, Program, Use
from bench.speed.rivals.applied import jax_multiplies_in
from bench.speed.twin import Precision

Apply = Callable[..., Any]
"""Function of arrays, constants and whether to train, which returns the output, or the
output and updated statistics."""


class Operation(NamedTuple):
    """An operation, and conversions of its arrays if their layout differs from fdl's.

    Attributes:
        apply: The function.
        enter: From fdl's arrays to its own.
        leave: From its own arrays to fdl's, NaN where it has none.
    """

    apply: Apply
    enter: Callable[[Arrays], Any] = lambda arrays: arrays
    leave: Callable[[Any], Arrays] = lambda arrays: arrays


def program(
    operation: Operation, draw: Draw, use: Use, precision: Precision | None
) -> Program:
    """Compile an operation."""
    jax.clear_caches()  # JAX would keep all programs and the arrays they close over
    if precision is not None:
        jax_multiplies_in(precision)
    narrow = lambda x: (
        x.astype(jnp.bfloat16)
        if precision == "bfloat16" and jnp.issubdtype(x.dtype, jnp.floating)
        else x
    )
    put = lambda tree: jax.tree.map(lambda x: narrow(jnp.asarray(x)), tree)
    options = dict(draw.options)
    arrays, constants = put(operation.enter(draw.arrays)), put(dict(draw.constants))

    def apply(arrays: Any, constants: Any, train: bool) -> tuple[Any, Any]:
        y = operation.apply(arrays, constants, train, **options)
        return y if isinstance(y, tuple) else (y, ())

    def forward(arrays: Any, constants: Any) -> Any:
        return apply(arrays, constants, False)[0]

    def training(arrays: Any, constants: Any, dy: Any) -> Any:
        f = lambda arrays: apply(arrays, constants, True)
        y, pull, updated = jax.vjp(f, arrays, has_aux=True)
        return y, pull(dy)[0], updated

    def loop(times: Any, arrays: Any, constants: Any, dy: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            _, arrays = carry
            y, slopes, _ = training(arrays, constants, dy)
            return y, jax.tree.map(lambda x, dx: x - RATE * dx, arrays, slopes)

        return lax.fori_loop(0, times, step, (jnp.zeros_like(dy), arrays))

    out = jax.eval_shape(forward, arrays, constants)
    dy = put(cotangent(out.shape))
    own = lambda y, trees: {"output": y, **operation.leave(trees)}
    host = lambda named: {name: np.asarray(x, np.float32) for name, x in named.items()}
    if use == "forward":
        compiled, facts = _compile(forward, arrays, constants)
        call = lambda: compiled(arrays, constants)
        return Program(lambda: host({"output": call()}), repeated(call), facts)
    if use == "training":
        compiled, facts = _compile(training, arrays, constants, dy)
        call = lambda: compiled(arrays, constants, dy)
        return Program(lambda: host(own(*call()[:2])), repeated(call), facts)
    compiled, facts = _compile(loop, FIRST_STEPS, arrays, constants, dy)
    steps = lambda times: jax.block_until_ready(compiled(times, arrays, constants, dy))
    return Program(lambda: host(own(*steps(FIRST_STEPS))), steps, facts)


def repeated(call: Callable[[], Any]) -> Callable[[int], Any]:
    """Return a function that repeats a call, on CPU waiting for each."""
    asynchronous = jax.default_backend() != "cpu"

    def run(times: int) -> Any:
        y = None
        for _ in range(times):
            y = call()
            if not asynchronous:
                jax.block_until_ready(y)
        return jax.block_until_ready(y)

    return run


def _compile(f: Callable[..., Any], *arguments: Any) -> tuple[Any, dict[str, float]]:
    started = time.perf_counter()
    compiled = jax.jit(f)
    made = compiled.lower(*arguments).compile()
    seconds = time.perf_counter() - started
    facts = {"compile": seconds}
    if memory := made.memory_analysis():
        facts["temporary"] = memory.temp_size_in_bytes
    return compiled, facts
