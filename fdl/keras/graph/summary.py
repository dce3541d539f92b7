"""What a Keras model consists of, as a table."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from flax.traverse_util import flatten_dict

from fdl.arrays import PyTree
from fdl.keras.graph.arrays import examples
from fdl.keras.graph.description import leaves
from fdl.keras.graph.layer import KerasLayer, Value
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.names import module_name


class Row(NamedTuple):
    """A layer.

    Attributes:
        name: Its name.
        kind: Its class in Keras.
        shapes: Shapes of its outputs, without the batch.
        parameters: Number of its weights, statistics included.
        trained: How many of these are trained.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    trained: int


def rows_of(model: KerasModel, variables: PyTree) -> list[Row]:
    """Return the layers of a model, in the order of its file.

    Axes of the inputs that may have any size are 32 long.

    Example:
        >>> from fdl.keras.graph.read import read_model
        >>> dense = {"class_name": "Dense", "config": {"name": "head", "units": 2}}
        >>> config = {"layers": [dense], "build_input_shape": [None, 3]}
        >>> model = KerasModel(
        ...     read_model({"class_name": "Sequential", "config": config})
        ... )
        >>> variables = model.init(jax.random.key(0), jax.numpy.ones((1, 3)))
        >>> rows_of(model, variables)[1]
        Row(name='head', kind='Dense', shapes=((2,),), parameters=8, trained=8)
    """
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        made = call(*args, **kwargs)
        module = context.module
        if isinstance(module, KerasLayer) and context.method_name == "__call__":
            found = [each for each in leaves(made) if isinstance(each, Value)]
            shapes["/".join(module.path)] = tuple(x.array.shape[1:] for x in found)
        return made

    with nn.intercept_methods(note):
        jax.eval_shape(model.apply, variables, *examples(model.graph, 32))
    counts = _counts(variables, model.frozen)
    rows = []
    for layer in model.graph.layers:
        name = module_name(layer.name)
        if layer.kind == "InputLayer":
            shape = layer.options["batch_shape"] or ()
            own = (tuple(32 if size is None else size for size in shape[1:]),)
        else:
            own = shapes.get(name, ())
        parameters, trained = counts.get(name, (0, 0))
        kind = layer.graph.kind if layer.graph else layer.kind
        rows.append(Row(layer.name, kind, own, parameters, trained))
    return rows


def _counts(variables: PyTree, frozen: tuple[str, ...]) -> Mapping[str, tuple]:
    """Return for each layer the number of its weights, and of those trained."""
    counts: dict[str, tuple[int, int]] = {}
    arrays: Any = flatten_dict(variables)
    for (collection, *path), x in arrays.items():
        count = math.prod(x.shape)
        name = "/".join(path)
        is_frozen = any(f"{name}/".startswith(f"{each}/") for each in frozen)
        trained = 0 if collection != "params" or is_frozen else count
        before = counts.get(path[0], (0, 0))
        counts[path[0]] = (before[0] + count, before[1] + trained)
    return counts
