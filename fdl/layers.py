"""What a model consists of: its layers, their outputs, parameters and FLOPs."""

import itertools
import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.extend.core import ClosedJaxpr, Jaxpr

from fdl.arrays import PyTree, is_matched
from fdl.ops import rules

Path = tuple[str, ...]


class Layer(NamedTuple):
    """A layer, or several that are shown as one.

    Attributes:
        name: Where it is, such as `block1/conv`, as `--freeze` takes it; `.` for what
            the model does by itself.
        kind: Its class.
        shapes: Shapes of its outputs, without the batch.
        parameters: Number of its weights, statistics included.
        trained: How many of these are trained.
        flops: Additions and multiplications of its products, see `summary`.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    trained: int
    flops: int


class Summary(NamedTuple):
    """A model, layer by layer; as text, a table like that of Keras.

    Attributes:
        name: Its class, or the name that it has in Keras.
        inputs: Shapes of its inputs, without the batch.
        layers: Its layers, in the order in which they begin.
    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Number of all weights, statistics included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trained(self) -> int:
        """Number of the weights that are trained."""
        return sum(layer.trained for layer in self.layers)

    @property
    def flops(self) -> int:
        """Additions and multiplications of all products."""
        return sum(layer.flops for layer in self.layers)

    def __str__(self) -> str:
        """Return a line for each layer, and one with the totals."""
        head = ("layer", "class", "output", "parameters", "trained", "FLOPs")
        rows: list[tuple[str, ...]] = [head]
        for layer in self.layers:
            numbers = layer.parameters, layer.trained, layer.flops
            counts = [f"{x:,}" if layer.parameters or x else "" for x in numbers]
            rows.append((layer.name, layer.kind, _words(layer.shapes), *counts))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [
                cell.ljust(width) if place < 3 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        trained = f"of which {self.trained:,} are trained"
        lines.append(
            f"{self.name} on {_words(self.inputs)}: {self.parameters:,} parameters, "
            f"{'all trained' if self.trained == self.parameters else trained}; "
            f"{self.flops:,} FLOPs"
        )
        return "\n".join(lines)


def summary(
    model: nn.Module,
    variables: PyTree,
    *inputs: Any,
    levels: int | None = None,
    frozen: Sequence[str] = (),
    **options: Any,
) -> Summary:
    """Return the layers of a model with what they give, hold and cost; nothing is run.

    FLOPs are the additions and multiplications of convolutions and matrix products, two
    for each weight that a number is multiplied by, in a forward pass. Papers often
    count these as one, and none counts what is done number by number. In a loop they
    are counted for each step, where the number of steps is known.

    Args:
        model: A Linen module.
        variables: Its variables, or their shapes.
        *inputs: What it is called with, or the shapes; a batch of one example, so that
            FLOPs are for one.
        levels: How many levels of layers within layers to tell apart, at least 1; what
            is deeper counts as a part of the layer that it is in. None for all.
        frozen: Paths or patterns of the parameters that are not trained, as for
            `fdl.learners.frozen`.
        **options: What else the model is called with, such as `train=False`.

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
    return Summary(
        _kind(model),
        _shapes(inputs),
        tuple(
            Layer("/".join(path) or ".", *seen.get(path, _NOT_CALLED), *counts)
            for path, counts in shown.items()
        ),
    )


_NOT_CALLED = "not called", ()
"""What is shown of a layer that only a training calls, such as an auxiliary head."""

_MARK = "layer:"
"""Before the number of a call, in the names of scopes that equations are traced in."""


def _kind(module: Any) -> str:
    return getattr(module, "kind_of_layer", type(module).__name__)


def _shapes(made: PyTree) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of arrays without the batch; masks are left out."""
    arrays = (x for x in jax.tree.leaves(made) if hasattr(x, "shape"))
    return tuple(tuple(x.shape[1:]) for x in arrays if x.dtype != bool)


def _words(shapes: tuple[tuple[int, ...], ...]) -> str:
    words = ["x".join(map(str, shape)) or "1" for shape in shapes]
    return ", ".join(words if len(words) < 4 else [*words[:3], "..."])


def _layer_of(path: Path, called: Collection[Path], levels: int | None) -> Path:
    """Return the layer that has an array: the nearest that is called, or its own."""
    within = (path[:length] for length in range(len(path), 0, -1))
    return next((layer for layer in within if layer in called), path[:levels])


def _products(jaxpr: Jaxpr, mark: int) -> Iterator[tuple[int, int]]:
    """Return the FLOPs of each product, with the number of the call that it is in."""
    for equation in jaxpr.eqns:
        marks = re.findall(f"{_MARK}(\\d+)", str(equation.source_info.name_stack))
        here = int(marks[-1]) if marks else mark
        name, params = equation.primitive.name, equation.params
        avals: list[Any] = [x.aval for x in equation.invars]
        outs: list[Any] = [x.aval for x in equation.outvars]
        # What is printed or checked has no outputs.
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
    """Return how often a convolution multiplies, borders counted as pixels."""
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
