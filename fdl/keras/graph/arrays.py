"""The arrays of a Keras model: their paths in a module and their places in a file."""

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
"""Sizes to try for axes of unknown size in the inputs."""

_MOST_OF_AXIS, _MOST_VALUES = 1 << 24, 1 << 31


class Slot(NamedTuple):
    """An array of a model.

    Attributes:
        path: Collection, modules and name: `("params", "conv1", "kernel")`.
        shape: Its shape.
        place: Its group in a file, such as `layers/dense`.
        number: Its index within the group.
        constraint: Its constraint as plain data; None if it has none.
    """

    path: Path
    shape: tuple[int, ...]
    place: str
    number: int
    constraint: Any

    @property
    def name(self) -> str:
        """Name of the array in messages."""
        return "/".join(self.path[1:])


def slots_of(model: KerasModel) -> list[Slot]:
    """Return the arrays of a model, in the order in which its layers run.

    A model without custom layers is traced only once and cached, since reading, writing
    and training it all need its arrays.

    Raises:
        WeightsError: If the layers do not fit together.
    """
    custom = model.custom_layers  # may not be hashable, so it is not a key of the cache
    return list(_slots_of(model) if custom else _slots_in(model.graph))


def examples(graph: Graph, size: int = 1) -> list[ShapeDtypeStruct]:
    """Return the shapes and types of the inputs, with `size` for unknown sizes."""
    found = []
    for ref in leaves(graph.inputs):
        layer = graph.layers[graph.calls[ref.call].layer]
        shape = layer.options["batch_shape"]
        if shape is None:
            raise WeightsError(
                f"the model does not define the shape of its input {layer.name}: start "
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

    There, each layer of the model has one list of arrays: trainable ones first. Those
    of a nested model are in the order of its layers.

    Args:
        model: The model.
        slots: Its arrays.
        keras2: Whether Keras 2 wrote the file. For a nested model that is frozen as a
            whole, it writes the arrays first that would otherwise be trainable.
    """
    layers = {path: layer for path, _, layer in layers_in(model.graph)}
    own: dict[Path, list[Slot]] = {path: [] for path in layers}
    for slot in {slot.path: slot for slot in slots}.values():  # without duplicates
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
    """Check by name that the vectors of a normalization are in Keras' order.

    They have the same shape, so `paired` could not notice if two were swapped.

    Args:
        slots: The arrays of the model, with their places in the file.
        names: The names of the arrays in the file, by layer.
        where: Name of the file in messages.

    Raises:
        WeightsError: If they are in another order.
    """
    ours = {"gamma": "scale", "beta": "bias"}
    ours |= {"moving_mean": "mean", "moving_variance": "var"}
    for slot in slots:
        found = names.get(slot.place, ())[slot.number : slot.number + 1]
        for name in found:
            end = name.rpartition("/")[2].partition(":")[0]
            if ours.get(end, slot.path[-1]) != slot.path[-1]:
                raise WeightsError(
                    f"{where} has {name} where {slot.name} belongs: the weights of "
                    f"{slot.place} are not in the order in which Keras writes them."
                )


def paired(
    slots: Sequence[Slot], stored: Mapping[str, Sequence[Any]], where: str
) -> Iterator[tuple[Slot, Any]]:
    """Pair the arrays of a model with those of a file, by place and number.

    Args:
        slots: The arrays of the model.
        stored: The arrays of the file, by group.
        where: Name of the file in messages.

    Raises:
        WeightsError: If an array is missing or unexpected, or has the wrong shape or
            type.
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
            # Integers are counters, or the state of a random generator.
            is_integer = jnp.issubdtype(jnp.dtype(array.dtype), jnp.integer)
            if (place, number) not in wanted and not is_integer:
                raise WeightsError(
                    f"{where} has {describe(array)} at {place}, which the model does "
                    "not have."
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
    failed: list[Layer] = []
    for size in _UNKNOWN if _has_unknown(model.graph) else (1,):
        failed = []
        try:
            return _traced(model, size, failed)
        except WeightsError:
            raise
        except Exception as error:  # custom layers may raise anything
            problem = error
    why = reason(problem or ValueError())
    if not failed:
        raise WeightsError(f"the layers do not fit together: {why}.") from problem
    raise refuse(str(failed[0]), f"cannot be computed: {why}.") from problem


def _traced(model: KerasModel, size: int, failed: list[Layer]) -> tuple[Slot, ...]:
    """Return the arrays that the module creates, by tracing its initialization.

    If a layer raises an error, it and the layers around it are added to `failed`.
    """
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
        if not isinstance(module, KerasLayer) or context.method_name != "__call__":
            return method(*args, **kwargs)
        try:
            outputs = method(*args, **kwargs)
        except Exception:
            failed.append(module.layer)
            raise
        for each in leaves(outputs):
            if isinstance(each, Value):
                _require_possible(each.array.shape, module.layer)
        return outputs

    inputs = examples(model.graph, size)
    order = itertools.count()
    nested = map_leaves(lambda _: inputs[next(order)], model.graph.inputs)

    def trace(nested: Any) -> None:
        with nn.intercept_methods(note):
            variables = model.init(jax.random.key(0), nested)
        # Inside the trace, since JAX sorts the dictionaries that it returns.
        made.update(_custom(model, variables, made))

    jax.eval_shape(trace, nested)
    return tuple(made.values())


def _require_possible(shape: Sequence[int], layer: Layer) -> None:
    """Check the size of an array: many operations build tables as long as an axis."""
    if max(shape, default=0) > _MOST_OF_AXIS or math.prod(shape) > _MOST_VALUES:
        raise refuse(
            str(layer),
            f"makes an array of shape {list(shape)} for a single example, which is "
            "too large.",
        )


def _custom(model: KerasModel, variables: Any, made: dict) -> dict:
    """Return the arrays of custom layers, in the order of creation."""
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
