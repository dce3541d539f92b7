"""Summaries of models, by tracing: outputs, weights, FLOPs and inputs of each layer."""

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var

from fdl.architecture import Layer, Summary
from fdl.arrays import PyTree, is_matched
from fdl.ops import rules

Path = tuple[str, ...]


def summary(
    model: nn.Module,
    variables: PyTree,
    *inputs: Any,
    levels: int | None = None,
    frozen: Sequence[str] = (),
    **options: Any,
) -> Summary:
    """Summarize a model, without running it: shapes, weights and FLOPs of each layer.

    FLOPs are the additions and multiplications in the convolutions and matrix products
    of a forward pass, two for each multiply-accumulate. Papers often count these as
    one; neither they nor this function count elementwise operations. In a loop, every
    step counts if the number of steps is known.

    Args:
        model: A Linen module.
        variables: Its variables, or their shapes.
        *inputs: Inputs of the model, or their shapes; with a batch of one example,
            FLOPs are per example.
        levels: Levels of nested layers to list, at least 1; deeper layers count toward
            the layer that contains them. None for all.
        frozen: Paths or patterns of the parameters that are not trained, as for
            `fdl.learners.frozen`.
        **options: Keyword arguments of the model, such as `train=False`.

    Raises:
        ValueError: If `levels` is below 1.

    Example:
        >>> import fdl
        >>> model, image = fdl.models.MLP(10), np.ones((1, 28, 28, 1))
        >>> variables = model.init(jax.random.key(0), image)
        >>> print(fdl.summary(model, variables, image))
        layer      class    output  parameters  trained    FLOPs
        dense1     Dense    128        100,480  100,480  200,704
        Dropout_0  Dropout  128
        head       Dense    10           1,290    1,290    2,560
        MLP on 28x28x1: 101,770 parameters, all trained; 203,264 FLOPs
    """
    if levels is not None and levels < 1:
        raise ValueError(f"levels={levels} must be at least 1, or None for all.")
    seen: dict[Path, tuple[str, tuple[tuple[int, ...], ...]]] = {}
    places: list[Path] = []

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        seen.setdefault(module.path, (_kind(module), ()))
        places.append(module.path)
        with jax.named_scope(f"{_MARK}{len(places) - 1}"):
            made = call(*args, **kwargs)
            # A copy, so that data also flow through a layer that does nothing, such as
            # dropout.
            passed = lambda x: jnp.copy(x) if isinstance(x, Tracer) else x
            made = jax.tree.map(passed, made)
        if context.method_name == "__call__":
            seen[module.path] = _kind(module), _shapes(made)
        return made

    def answer(variables: PyTree, *inputs: Any) -> Any:
        return model.apply(variables, *inputs, **options)

    with nn.intercept_methods(note), rules.plain_forms():
        traced = jax.make_jaxpr(answer)(variables, *inputs)
    own: dict[Path, list[int]] = {path: [0, 0, 0] for path in seen}
    arrays: dict[Path, Any] = flatten_dict(variables)
    for (collection, *path), x in arrays.items():
        layer = _layer_of(tuple(path[:-1]), seen, levels)
        own.setdefault(layer, [0, 0, 0])
        count, is_param = math.prod(x.shape), collection == "params"
        own[layer][0] += count
        own[layer][1] += count * (is_param and not is_matched("/".join(path), frozen))
    for mark, flops in _products(traced.jaxpr, 0):
        own[places[mark]][2] += flops
    shown: dict[Path, list[int]] = {}
    inner = {path[:-1] for path in seen if path}
    for path, counts in own.items():
        if path not in inner or any(counts):
            place = path[:levels]
            sums = shown.get(place, [0, 0, 0])
            shown[place] = [a + b for a, b in zip(sums, counts, strict=True)]

    def layer_at(mark: int) -> str | None:
        place = places[mark][:levels]
        return _name(place) if place in shown else None

    reads: dict[str, Sources] = {_name(path): {} for path in shown}
    given = [{name: None} for name, x in _inputs(inputs) for _ in jax.tree.leaves(x)]
    weights: list[Sources] = [{}] * len(jax.tree.leaves(variables))
    made = _flow(traced.jaxpr, [*weights, *given], 0, layer_at, reads)
    order = [name for name, _ in _inputs(inputs)] + list(reads)
    sort = lambda names: tuple(name for name in order if name in names)
    layers = []
    for path, (parameters, trained, flops) in shown.items():
        name, (kind, shapes) = _name(path), seen.get(path, _NOT_CALLED)
        read = sort(reads[name])
        layers.append(Layer(name, kind, shapes, parameters, trained, flops, read))
    returned = sort({name for one in made for name in one})
    return Summary(_kind(model), _shapes(inputs), tuple(layers), returned)


_NOT_CALLED = "not called", ()
"""Shown for a layer that is called in training only, such as an auxiliary head."""

_MARK = "layer:"
"""Prefix of the number of a call, in the name scopes of traced equations."""


Sources = dict[str, None]
"""Names of the layers that a value is computed from, each once, in order."""


def _name(path: Path) -> str:
    return "/".join(path) or "."


def _inputs(inputs: tuple[Any, ...]) -> list[tuple[str, Any]]:
    if len(inputs) == 1:
        return [("input", inputs[0])]
    return [(f"input {number}", x) for number, x in enumerate(inputs, 1)]


def _kind(module: Any) -> str:
    return getattr(module, "kind_of_layer", type(module).__name__)


def _shapes(made: PyTree) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of arrays, without the batch axis and without masks."""
    arrays = (x for x in jax.tree.leaves(made) if hasattr(x, "shape"))
    return tuple(tuple(x.shape[1:]) for x in arrays if x.dtype != bool)


def _layer_of(path: Path, called: Collection[Path], levels: int | None) -> Path:
    """Return the layer that owns an array: the nearest one called, or its own path."""
    within = (path[:length] for length in range(len(path), 0, -1))
    return next((layer for layer in within if layer in called), path[:levels])


def _mark(equation: JaxprEqn, outer: int) -> int:
    """Return the number of the call that an equation belongs to."""
    marks = re.findall(f"{_MARK}(\\d+)", str(equation.source_info.name_stack))
    return int(marks[-1]) if marks else outer


def _flow(
    jaxpr: Jaxpr,
    given: Sequence[Sources],
    mark: int,
    layer_at: Callable[[int], str | None],
    reads: dict[str, Sources],
) -> list[Sources]:
    """Return the layers that each output is computed from; record what layers read.

    An operation between layers, such as a sum, passes on the sources of its operands.
    """
    known: dict[Var, Sources] = dict(zip(jaxpr.invars, given, strict=True))
    of = lambda x: known.get(x, {}) if isinstance(x, Var) else {}
    for equation in jaxpr.eqns:
        here, sources = _mark(equation, mark), [of(x) for x in equation.invars]
        layer, inner = layer_at(here), [*_inner(equation.params)]
        made: list[Sources]
        if layer is not None:
            both = {name: None for one in sources for name in one if name != layer}
            reads[layer] |= both
            made = [{layer: None}] * len(equation.outvars)
        elif len(inner) == 1 and len(inner[0].invars) == len(sources):
            made = _flow(inner[0], sources, here, layer_at, reads)
        else:
            both = {name: None for one in sources for name in one}
            made = [both] * len(equation.outvars)
        known.update(zip(equation.outvars, made, strict=True))
    return [of(x) for x in jaxpr.outvars]


def _products(jaxpr: Jaxpr, mark: int) -> Iterator[tuple[int, int]]:
    """Yield the FLOPs of each product, with the number of the call it belongs to."""
    for equation in jaxpr.eqns:
        here = _mark(equation, mark)
        name, params = equation.primitive.name, equation.params
        avals: list[Any] = [x.aval for x in equation.invars]
        outs: list[Any] = [x.aval for x in equation.outvars]
        # Prints and checks have no outputs.
        out = math.prod(getattr(outs[0], "shape", ())) if outs else 0
        if name == "dot_general":
            (across, _), _ = params["dimension_numbers"]
            yield here, 2 * out * math.prod(avals[0].shape[axis] for axis in across)
        elif name == "conv_general_dilated":
            yield (
                here,
                2 * _multiplications(avals[0].shape, avals[1].shape, out, params),
            )
        else:
            times = params["length"] if name == "scan" else 1
            parts = [[*_products(each, here)] for each in _inner(params)]
            if name == "cond":  # one of the branches is taken
                parts = [max(parts, key=lambda part: sum(x for _, x in part))]
            for place, flops in itertools.chain(*parts):
                yield place, times * flops


def _multiplications(
    x: tuple[int, ...], kernel: tuple[int, ...], out: int, params: Any
) -> int:
    """Return how often a convolution multiplies, counting padding as pixels."""
    numbers = params["dimension_numbers"]
    if np.prod(params["lhs_dilation"]) > 1:  # transposed: each pixel meets each weight
        channels = x[numbers.lhs_spec[1]]
        return math.prod(x) // channels * math.prod(kernel)
    return out * math.prod(kernel) // kernel[numbers.rhs_spec[0]]


def _inner(params: dict[str, Any]) -> Iterator[Jaxpr]:
    for value in params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, Jaxpr):
                yield each
