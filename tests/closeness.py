"""Near equality of trees of arrays."""

from typing import Any

import jax
import numpy as np


def close(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    """Assert that trees have the same structure and nearly equal numbers, none NaN."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(
            x, y, rtol=tolerance, atol=tolerance, equal_nan=False
        ),
        a,
        b,
    )
