"""A Linen module that runs any graph of Keras layers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from fdl.arrays import Array, PyTree
from fdl.keras.constraints import Constraint
from fdl.keras.graph.description import Graph, leaves, map_leaves
from fdl.keras.graph.layer import HALF, Mode, Value, run_graph
from fdl.keras.graph.names import module_name
from fdl.keras.table.regularizers import constraint
from fdl.programs import in_program, program


class KerasModel(nn.Module):
    """A Keras model as a Linen module, as `fdl.keras.import_model` returns it.

    Its submodules have the names of the Keras layers. Call it with the inputs by
    position, by name, or nested as in Keras, with any leading axes before those of one
    example. It returns the outputs nested as in Keras, with tuples for lists.

    With `train=True`, dropout needs the random key `dropout`, and batch normalization
    updates `batch_stats`. Penalties of weights and activities are sown into `losses`.
    Layers that are frozen in Keras get no gradient.

    Attributes:
        graph: The layers and their connections.
        custom_layers: Functions that make modules for custom layers, by class.
        returns_masks: Whether to return `(outputs, masks)`, nested alike: a mask is
            True for steps that are not padding, and None if there is no padding.

    Example:
        >>> import jax
        >>> from fdl.keras.graph.read import read_model
        >>> dense = {"class_name": "Dense", "config": {"name": "head", "units": 2}}
        >>> entry = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3]}}
        >>> layers = {"name": "net", "layers": [entry, dense]}
        >>> model = KerasModel(
        ...     read_model({"class_name": "Sequential", "config": layers})
        ... )
        >>> model
        Sequential 'net'
          input_layer = Input([3])
          head = Dense(input_layer)
          return head
        >>> variables = model.init(jax.random.key(0), jnp.ones((5, 3)))
        >>> variables["params"]["head"]["kernel"].shape
        (3, 2)
    """

    graph: Graph
    custom_layers: Mapping[str, Callable[..., nn.Module]] = FrozenDict()
    returns_masks: bool = False

    def __repr__(self) -> str:
        """List the layers with their inputs."""
        return repr(self.graph)

    @nn.nowrap
    def init(self, rngs: Any, *args: Any, **kwargs: Any) -> PyTree:
        """Draw the variables in one program: many small ones would compile slowly."""
        if in_program():
            return super().init(rngs, *args, **kwargs)
        named = {name: x for name, x in kwargs.items() if hasattr(x, "shape")}
        fixed = {name: x for name, x in kwargs.items() if name not in named}
        return program(_draw, self, fixed, once=True)(rngs, args, named)

    @nn.compact
    def __call__(self, *inputs: Any, train: bool = False, **named: Any) -> PyTree:
        """Apply the model to inputs by position, or by name."""
        given, batch = _with_one_batch_axis(self.graph, _inputs(self, inputs, named))
        graph, custom = self.graph, FrozenDict(self.custom_layers)
        mode = Mode(train, not _is_uniform(graph), custom, graph.keras2)
        found = run_graph(self, self.graph, given, "layers", True, mode)
        outputs = map_leaves(lambda value: _unflattened(value.array, batch), found)
        if not self.returns_masks:
            return outputs
        return outputs, map_leaves(lambda value: _unflattened(value.mask, batch), found)

    @property
    def kind_of_layer(self) -> str:
        """The class and the name in Keras, for `fdl.layers`."""
        return f"{self.graph.kind} {self.graph.name}"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names by which the inputs can be passed."""
        wanted = self.graph.inputs
        if isinstance(wanted, dict | FrozenDict):
            return tuple(wanted)
        return tuple(self.graph.label(ref) for ref in leaves(wanted))

    @property
    def frozen(self) -> tuple[str, ...]:
        """Paths of the layers that are frozen, for `fdl.learners.frozen`."""
        return tuple(_frozen(self.graph, ""))

    @property
    def constraints(self) -> dict[str, Constraint]:
        """Constraints by the path of a parameter, for `constraints.constrain`."""
        from fdl.keras.graph.arrays import slots_of

        return {
            slot.name: constraint(slot.constraint)
            for slot in slots_of(self)
            if slot.constraint
        }


def _is_uniform(graph: Graph) -> bool:
    """Return whether all layers compute in one type, that of their weights."""
    types = set(_types(graph))
    return len(types) <= 1 and not types & set(HALF)


def _types(graph: Graph) -> Any:
    for layer in graph.layers:
        if layer.graph:
            yield from _types(layer.graph)
        elif layer.kind != "InputLayer" and not layer.kind.startswith("ops."):
            yield layer.dtype
            yield layer.variable_dtype


def _frozen(graph: Graph, path: str) -> Any:
    for layer in graph.layers:
        inner = f"{path}{module_name(layer.name)}"
        if not layer.trainable:
            yield inner
        elif layer.graph:
            yield from _frozen(layer.graph, f"{inner}/")


def _inputs(model: KerasModel, inputs: tuple, named: dict[str, Any]) -> Any:
    """Return the inputs nested as in the graph."""
    wanted = model.graph.inputs
    refs = leaves(wanted)
    given: Any = inputs
    if named:
        given = named
    elif len(inputs) == 1 and (len(refs) > 1 or not hasattr(inputs[0], "ndim")):
        given = inputs[0]
    names = [model.graph.label(ref) for ref in refs]
    if isinstance(given, dict | FrozenDict):
        keys = list(wanted) if isinstance(wanted, dict | FrozenDict) else names
        missing = [key for key in keys if key not in given]
        if missing or len(given) != len(keys):
            raise ValueError(
                f"the inputs are named {', '.join(map(str, given))}, but the model "
                f"takes {', '.join(map(str, keys))}."
            )
        given = [given[key] for key in keys]
    found = leaves(given)
    if len(found) != len(refs):
        raise ValueError(
            f"there are {len(found)} inputs, but the model takes {len(refs)}: "
            f"{', '.join(names)}."
        )
    order = iter(found)
    return map_leaves(lambda _: jnp.asarray(next(order)), wanted)


def _draw(
    model: KerasModel, fixed: dict[str, Any], rngs: Any, args: Any, named: Any
) -> PyTree:
    return nn.Module.init(model, rngs, *args, **named, **fixed)


def _with_one_batch_axis(graph: Graph, given: Any) -> tuple[Any, tuple[Any, ...]]:
    """Flatten the leading axes of the inputs to one, and return these axes too."""
    batch: tuple[Any, ...] | None = None
    flat = []
    for ref, x in zip(leaves(graph.inputs), leaves(given), strict=True):
        layer = graph.layers[graph.calls[ref.call].layer]
        shape, name = layer.options["batch_shape"], layer.name
        axes = x.ndim if shape is None else x.ndim - len(shape) + 1
        own = x.shape[:1] if shape is None else x.shape[: max(axes, 0)]
        rest = () if shape is None else shape[1:]
        sizes = zip(x.shape[len(own) :], rest, strict=False)
        if axes < 0 or any(a != b for a, b in sizes if b is not None):
            raise ValueError(
                f"the input {name} has shape {x.shape}, but the model takes "
                f"{('batch', *rest)}, with any leading axes."
            )
        if batch is not None and own != batch:
            raise ValueError(
                f"the input {name} has leading axes {own}, but the inputs before it "
                f"have {batch}."
            )
        batch = own
        one = x if len(own) == 1 else x.reshape(math.prod(own), *x.shape[len(own) :])
        flat.append(Value(one))
    order = iter(flat)
    return map_leaves(lambda _: next(order), graph.inputs), batch or ()


def _unflattened(y: Array | None, batch: tuple[Any, ...]) -> Array | None:
    if y is None or len(batch) == 1 or y.ndim == 0 or y.shape[0] != math.prod(batch):
        return y
    return y.reshape(*batch, *y.shape[1:])
