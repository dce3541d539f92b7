"""Common part of the rows written in JAX: a compiled function of their state."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bench.speed.twin import Arrays, Precision


def jax_multiplies_in(precision: Precision) -> None:
    """Set the precision of products in JAX; the default on GPUs is TF32."""
    highest = "highest" if precision == "float32" else None
    jax.config.update("jax_default_matmul_precision", highest)


class Applied:
    """A twin with a `state` and a compiled `apply` from state and batch to outputs."""

    state: Any
    apply: Callable[[Any, Arrays], Any]

    def outputs(self, batch: Arrays) -> np.ndarray:
        """Return the outputs of the model."""
        return np.asarray(self.apply(self.state, batch))

    def predictor(self, batch: Arrays, times: int) -> Callable[[], Any]:
        """Return a function that predicts a batch repeatedly."""
        batch = jax.device_put(batch)

        def run() -> Any:
            y = None
            for _ in range(times):
                y = self.apply(self.state, batch)
            return jax.block_until_ready(y)

        return run
