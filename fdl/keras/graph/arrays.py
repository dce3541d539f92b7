"""The arrays of a Keras model: where a module has them, and where a file does."""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax import ShapeDtypeStruct

from fdl.keras.graph.description import Graph, Layer, leaves, map_leaves, refuse
from fdl.keras.graph.layer import KerasLayer, Value
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.names import keys_in_file, module_name
from fdl.keras.table import LAYERS
from fdl.keras.table.entry import Weight
from fdl.untrusted import reason
from fdl.weights import WeightsError, describe

Path = tuple[str, ...]

_UNKNOWN = (1, 8, 32, 128, 299)
"""Sizes to try for an axis of the inputs of unknown size."""


_MOST_OF_AXIS, _MOST_VALUES = 1 << 24, 1 << 31


class Slot(NamedTuple):
    """An array of a model.

    Attributes:
        path: Collection, modules and name: `("params", "conv1", "kernel")`.
        shape: Its shape.
        place: The group of a file that it is in, such as `layers/dense`.
        number: Which of the group's arrays it is.
        constraint: How it is limited after each update, as plain data; None if it is
            not.
    """

    path: Path
    shape: tuple[int, ...]
    place: str
    number: int
    constraint: Any

    @property
    def name(self) -> str:
        """Its name in messages."""
        return "/".join(self.path[1:])


def slots_of(model: KerasModel) -> list[Slot]:
    """Return the arrays of a model, in the order in which layers run.

    A model of Keras' layers alone is traced but once: reading, writing and training it
    all ask for its arrays.

    Raises:
        WeightsError: If the layers do not fit together.
    """
    own = model.custom_layers  # which may not be hashable
    return list(_slots_of(model) if own else _slots_in(model.graph))


def examples(graph: Graph, size: int = 1) -> list[ShapeDtypeStruct]:
    """Return shapes and types of the inputs, with `size` for unknown sizes."""
    found = []
    for ref in leaves(graph.inputs):
        layer = graph.layers[graph.calls[ref.call].layer]
        shape = layer.options["batch_shape"]
        if shape is None:
            raise WeightsError(
                f"the model does not say what shape its input {layer.name} has: begin "
                "it with a keras.Input, and save it again."
            )
        sizes = [1, *(size if each is None else each for each in shape[1:])]
        _require_possible(sizes, layer)
        dtype = jax.dtypes.canonicalize_dtype(layer.options["dtype"])
        found.append(ShapeDtypeStruct(sizes, dtype))
    return found


def in_whole_model(
    model: KerasModel, slots: Sequence[Slot], *, keras2: bool
) -> list[Slot]:
    """Return the arrays of a model with their places in a whole-model `.h5` file.

    There, each layer of the model has one list of arrays: those that are trained, and
    then the others. Of a nested model, they are in the order of its layers.

    Args:
        model: The model.
        slots: Its arrays.
        keras2: Whether Keras 2 wrote the file. In a nested model that is not trained
            as a whole, it writes those first that its layers would train.
    """
    layers = {path: layer for path, _, layer in layers_in(model.graph)}
    own: dict[Path, list[Slot]] = {path: [] for path in layers}
    for slot in {slot.path: slot for slot in slots}.values():  # here, each is once
        path = slot.path[1:]
        ends = (path[:end] for end in range(1, len(path)))
        own[next(each for each in ends if layers[each].graph is None)].append(slot)
    trained_first = lambda found: sorted(found, key=lambda each: not each[1])

    def gather(layer: Layer, path: Path) -> list[tuple[Slot | None, bool]]:
        if layer.graph is None:
            learns = lambda slot: layer.trainable and slot.path[0] == "params"
            entry = LAYERS.get(layer.kind)
            counters = [(None, False)] * (entry.counters if entry else 0)
            return [*((slot, learns(slot)) for slot in own[path]), *counters]
        found = [
            each
            for part in layer.graph.layers
            for each in gather(part, (*path, module_name(part.name)))
        ]
        if keras2 and not layer.trainable:
            return [(slot, False) for slot, _ in trained_first(found)]
        return found

    placed = []
    for layer in model.graph.layers:
        found = gather(layer, (module_name(layer.name),))
        found = trained_first(found) if layer.trainable else found
        placed += [
            slot._replace(place=layer.name, number=number)
            for number, (slot, _) in enumerate(found)
            if slot is not None
        ]
    return placed


def require_order(
    slots: Sequence[Slot], names: Mapping[str, Sequence[str]], where: str
) -> None:
    """Check by their names that vectors of one length are in the order of the model.

    Args:
        slots: Those of the model, as they are in the file.
        names: Those of the file, by layer.
        where: What to call the file in messages.
    """
    ours = {"gamma": "scale", "beta": "bias"}
    ours |= {"moving_mean": "mean", "moving_variance": "var"}
    for slot in slots:
        found = names.get(slot.place, ())[slot.number : slot.number + 1]
        for name in found:
            end = name.rpartition("/")[2].partition(":")[0]
            if ours.get(end, slot.path[-1]) != slot.path[-1]:
                raise WeightsError(
                    f"{where} has {name} where {slot.name} belongs, for weights of "
                    f"{slot.place} are not in the order in which Keras writes them."
                )


def paired(
    slots: Sequence[Slot], stored: Mapping[str, Sequence[Any]], where: str
) -> Iterator[tuple[Slot, Any]]:
    """Pair the arrays of a model with those of a file, by place and number.

    Args:
        slots: Those of the model.
        stored: Those of the file, by group.
        where: What to call the file in messages.

    Raises:
        WeightsError: If one is missing, unexpected, or has another shape.
    """
    wanted = {(slot.place, slot.number) for slot in slots}
    for slot in slots:
        found = stored.get(slot.place, ())
        if slot.number >= len(found):
            raise WeightsError(f"{where} lacks the weight {slot.name}.")
        array = found[slot.number]
        if tuple(array.shape) != slot.shape:
            raise WeightsError(
                f"{where} has {slot.name} as {describe(array)}, but the model needs "
                f"the shape {list(slot.shape)}."
            )
        dtype = jnp.dtype(array.dtype)
        if not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize > 8:
            raise WeightsError(f"{where} has {slot.name} as {dtype}, not as a float.")
        yield slot, array
    for place, arrays in stored.items():
        for number, array in enumerate(arrays):
            # Counters, and states of random numbers.
            counts = jnp.issubdtype(jnp.dtype(array.dtype), jnp.integer)
            if (place, number) not in wanted and not counts:
                raise WeightsError(
                    f"{where} has {describe(array)} at {place}, which no layer of the "
                    "model has."
                )


def layers_in(
    graph: Graph, path: Path = (), place: str = "layers"
) -> Iterator[tuple[Path, str, Layer]]:
    """Yield each layer, with the path of its module and its group in files."""
    for layer, key in zip(graph.layers, keys_in_file(graph), strict=True):
        own = (*path, module_name(layer.name))
        yield own, f"{place}/{key}", layer
        if layer.graph:
            yield from layers_in(layer.graph, own, f"{place}/{key}/layers")


@functools.lru_cache(maxsize=8)
def _slots_in(graph: Graph) -> tuple[Slot, ...]:
    return _slots_of(KerasModel(graph))


def _slots_of(model: KerasModel) -> tuple[Slot, ...]:
    problem: Exception | None = None
    for size in _UNKNOWN if _has_unknown(model.graph) else (1,):
        try:
            return _traced(model, size)
        except WeightsError:
            raise
        except Exception as error:  # layers of the user's may raise anything
            problem = error
    raise WeightsError(
        f"the layers do not fit together: {reason(problem or ValueError())}"
    ) from problem


def _traced(model: KerasModel, size: int) -> tuple[Slot, ...]:
    """Return what the module asks for as it is initialized, without computing it."""
    counts: dict[str, int] = {}
    made: dict[tuple[Path, str], Slot] = {}  # a file may have an array twice

    def note(method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if context.method_name == "weight":
            asked: Weight = args[0]
            place = f"{module.place}/{asked.at}" if asked.at else module.place
            collection = "params" if asked.trained else "batch_stats"
            path = (collection, *module.path, *asked.name.split("/"))
            if (path, place) not in made:
                constraint = module.layer.options.get(f"{asked.prefix}_constraint")
                number = counts[place] = counts.get(place, -1) + 1
                made[path, place] = Slot(path, asked.shape, place, number, constraint)
        made_of_it = method(*args, **kwargs)
        if isinstance(module, KerasLayer) and context.method_name == "__call__":
            for each in leaves(made_of_it):
                if isinstance(each, Value):
                    _require_possible(each.array.shape, module.layer)
        return made_of_it

    inputs = examples(model.graph, size)
    order = itertools.count()
    nested = map_leaves(lambda _: inputs[next(order)], model.graph.inputs)

    def trace(nested: Any) -> None:
        with nn.intercept_methods(note):
            variables = model.init(jax.random.key(0), nested)
        # Inside the trace, since dictionaries come out of it sorted.
        made.update(_custom(model, variables, made))

    jax.eval_shape(trace, nested)
    return tuple(made.values())


def _require_possible(shape: Sequence[int], layer: Layer) -> None:
    """Check the size of an array, since many operations make tables as long."""
    if max(shape, default=0) > _MOST_OF_AXIS or math.prod(shape) > _MOST_VALUES:
        raise refuse(
            str(layer), f"makes an array of shape {list(shape)}, of one example."
        )


def _custom(model: KerasModel, variables: Any, made: dict) -> dict:
    """Return the arrays of modules that the user gave, in the order of creation."""
    if not model.custom_layers:
        return {}
    found: dict[tuple[Path, str], Slot] = {}
    places = {path: place for path, place, _ in layers_in(model.graph)}
    counts: dict[str, int] = {}
    for collection in ("params", "batch_stats"):
        flat: dict[Path, Any] = flatten_dict(variables.get(collection, {}))
        for path, leaf in flat.items():
            full = (collection, *path)
            if "custom" not in path:
                continue
            place = places[path[: path.index("custom")]]
            if (full, place) in made:
                continue
            number = counts[place] = counts.get(place, -1) + 1
            found[full, place] = Slot(full, tuple(leaf.shape), place, number, None)
    return found


def _has_unknown(graph: Graph) -> bool:
    shapes = [
        graph.layers[graph.calls[ref.call].layer].options["batch_shape"]
        for ref in leaves(graph.inputs)
    ]
    return any(None in (shape or ())[1:] for shape in shapes)
