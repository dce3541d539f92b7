"""A model with some parameters frozen."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
from jax import lax

from fdl.arrays import PyTree, is_matched


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A model with some parameters as constants, as with Keras' `trainable=False`.

    These parameters get no gradient. A frozen batch normalization normalizes by its
    running statistics even in training, and does not update them. Dropout stays active.

    The wrapper can replace a model in every learner. Add `fdl.learners.frozen` to
    ensure that the optimizer does not change these parameters without a gradient, such
    as by weight decay.

    Attributes:
        model: The model.
        patterns: What to freeze, as for `fdl.learners.frozen`: paths of parameters or
            modules, or shell patterns of them.

    Example:
        >>> import fdl, jax.numpy as jnp
        >>> model = Frozen(fdl.models.MLP(10), ["dense1"])
        >>> images = jnp.ones((2, 28, 28, 1))
        >>> variables = model.init(jax.random.key(0), images)
        >>> total = lambda variables: model.apply(variables, images).sum()
        >>> gradient = jax.grad(total)(variables)["params"]
        >>> float(abs(gradient["dense1"]["kernel"]).max())
        0.0
        >>> float(gradient["head"]["bias"][0])
        2.0
    """

    model: Any
    patterns: Sequence[str]

    def init(self, *args: Any, **kwargs: Any) -> PyTree:
        """Initialize the variables of the model."""
        return self.model.init(*args, **kwargs)

    def apply(self, variables: PyTree, *args: Any, **kwargs: Any) -> PyTree:
        """Apply the model, with the frozen parameters as constants."""

        def constant(path: Any, x: Any) -> Any:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            return lax.stop_gradient(x) if is_matched(name, self.patterns) else x

        params = jax.tree_util.tree_map_with_path(constant, variables["params"])
        with nn.intercept_methods(self._keep_statistics):
            return self.model.apply({**variables, "params": params}, *args, **kwargs)

    def _keep_statistics(
        self, call: Callable[..., Any], args: Any, kwargs: Any, context: Any
    ) -> Any:
        module = context.module
        if not isinstance(module, nn.BatchNorm) or context.method_name != "__call__":
            return call(*args, **kwargs)
        if not is_matched("/".join(module.path), self.patterns):
            return call(*args, **kwargs)
        if "train" in kwargs:
            return call(*args, **{**kwargs, "train": False})
        # Linen takes the flag from the module or from the call, not from both.
        flag = module.use_running_average
        object.__setattr__(module, "use_running_average", None)
        try:
            return call(args[0], **{**kwargs, "use_running_average": True})
        finally:
            object.__setattr__(module, "use_running_average", flag)

    def __getattr__(self, name: str) -> Any:
        """Return other attributes of the model, such as its latent size."""
        if name == "model":  # not set yet while the wrapper is created or copied
            raise AttributeError(name)
        return getattr(self.model, name)
