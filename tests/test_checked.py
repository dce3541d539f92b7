"""Functions that are defined repeatedly are each checked by their own signature."""

import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float, TypeCheckError, jaxtyped

from checked import checked


def make(shape: str, *, result: type = object):
    @jaxtyped(typechecker=checked)
    def inner(x: Float[Array, shape], y: Float[Array, " b"] | None = None) -> result:
        return x

    return inner


def test_each_function_is_checked_by_its_own_signature() -> None:
    for _ in range(2):
        make("a")(jnp.ones(3))
        make("a a")(jnp.ones((3, 3)))
        make("b")(jnp.ones(3), jnp.ones(3))
        with pytest.raises(TypeCheckError, match="parameters"):
            make("a a")(jnp.ones(3))
        with pytest.raises(TypeCheckError, match="parameters"):
            make("b")(jnp.ones(3), jnp.ones(2))
        with pytest.raises(TypeCheckError, match="return value"):
            make("a", result=int)(jnp.ones(3))
