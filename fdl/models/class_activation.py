"""Class activation maps: which pixels are evidence for a class."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Float, Int

from fdl.arrays import Array, PyTree
from fdl.models.backbone import Backbone


def class_activation_map(
    model: Backbone,
    variables: PyTree,
    image: Float[Array, "batch height width channels"],
    label: Int[Array, " batch"] | None = None,
    *,
    stride: int | None = None,
) -> Float[Array, "batch map_height map_width"]:
    """Return where a classifier sees a class (Zhou et al., 2016, arXiv:1512.04150).

    The weighted sum over the channels of a feature map, where the weight of a channel
    is the gradient of the class's logit, summed over pixels. If the logits are a dense
    layer of the mean over pixels, the weights are those of that layer, and the mean of
    the map plus the bias is the logit. For other models this is Grad-CAM (Selvaraju et
    al., 2017, arXiv:1610.02391) times the number of pixels and without the ReLU, so
    that negative values, evidence against the class, remain.

    Args:
        model: A model of `fdl.models` with feature maps.
        variables: Its variables.
        image: Images, as the model takes them.
        label: Class to look for in each image; None for the most probable.
        stride: Stride of the feature map, see `method="features"`; None for the last.

    Raises:
        ValueError: If the model has no head, or no map of this stride.

    Example:
        >>> import fdl
        >>> model = fdl.models.CIFARResNet(10, depth=8)
        >>> images = jnp.ones((2, 28, 28, 1))
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> cam = jax.jit(class_activation_map, static_argnums=0)
        >>> cam(model, variables, images).shape
        (2, 7, 7)
    """
    if not model.include_top:
        raise ValueError("the model has no classes: create it with include_top=True.")

    def answer(image: Array) -> tuple[Array, dict[int, Array]]:
        stages: Any = model.apply(variables, image, method="features")
        *_, last = stages.values()
        logits: Any = model.apply(variables, last, train=False, method="head")
        return logits, stages

    traced, shapes = jax.make_jaxpr(answer, return_shape=True)(image)
    strides = list(shapes[1])
    place = strides[-1] if stride is None else stride
    if place not in strides:
        known = ", ".join(map(str, strides))
        raise ValueError(f"stride={stride} must be one of the model's: {known}.")
    logits, stages = answer(image)
    chosen = jnp.argmax(logits, axis=-1) if label is None else jnp.asarray(label)
    rest = _from_output_on(traced, 1 + strides.index(place))

    def score(x: Array) -> Array:
        return jnp.take_along_axis(rest(image, x)[0], chosen[:, None], axis=-1).sum()

    weight = jnp.sum(jax.grad(score)(stages[place]), axis=(1, 2), keepdims=True)
    return jnp.sum(weight * stages[place], axis=-1)


def _from_output_on(traced: ClosedJaxpr, output: int) -> Any:
    """Return the traced function with one of its outputs as an additional input.

    Later values are computed from that input, so they can be differentiated by it.
    """
    jaxpr = traced.jaxpr
    given: Any = jaxpr.outvars[output]
    rest = jaxpr.replace(
        invars=[*jaxpr.invars, given],
        eqns=[each for each in jaxpr.eqns if given not in each.outvars],
        debug_info=jaxpr.debug_info.with_unknown_names(),
    )
    return jaxpr_as_fun(ClosedJaxpr(rest, traced.consts))
