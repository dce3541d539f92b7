"""Mixed precision: compute in half precision, store parameters in float32."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import DTypeLike

from fdl.arrays import PyTree


@dataclasses.dataclass(frozen=True)
class MixedPrecision:
    """Mixed precision (Micikevicius et al., 2018, arXiv:1710.03740), as in Keras.

    Wraps a model to compute in `dtype`, while its parameters are stored, differentiated
    and updated in float32: Keras' policy `mixed_bfloat16`. Outputs and losses are
    float32, and running statistics keep their type. bfloat16 has the range of float32,
    so losses need no scaling.

    The wrapper can replace a model in every learner.

    Attributes:
        model: The model.
        dtype: Type of the computation.

    Example:
        >>> import fdl, optax
        >>> model = MixedPrecision(fdl.models.MLP(10))
        >>> learner = fdl.learners.supervised(
        ...     model, fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> batch = fdl.Batch(jnp.ones((2, 28, 28, 1)), jnp.arange(2))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, _ = jax.jit(learner.step)(state, batch)
        >>> state.params["head"]["kernel"].dtype
        dtype('float32')
    """

    model: nn.Module
    dtype: DTypeLike = jnp.bfloat16

    def init(self, *args: Any, **kwargs: Any) -> PyTree:
        """Initialize the variables of the model, in float32."""
        return self.model.init(*args, **kwargs)

    def apply(self, variables: PyTree, *args: Any, **kwargs: Any) -> PyTree:
        """Apply the model to floating-point inputs and parameters in `dtype`."""
        params = _cast(variables["params"], self.dtype)
        found = self.model.apply(
            {**variables, "params": params}, *_cast(args, self.dtype), **kwargs
        )
        if kwargs.get("mutable"):  # outputs and updated collections
            outputs, changed = found
            return _cast(outputs, jnp.float32), changed
        return _cast(found, jnp.float32)

    def __getattr__(self, name: str) -> Any:
        """Return other attributes of the model, such as its latent size."""
        if name == "model":  # not set yet while the wrapper is created or copied
            raise AttributeError(name)
        return getattr(self.model, name)


def _cast(tree: PyTree, dtype: DTypeLike) -> PyTree:
    floats = lambda x: jnp.issubdtype(jnp.result_type(x), jnp.floating)
    return jax.tree.map(lambda x: jnp.asarray(x, dtype) if floats(x) else x, tree)
