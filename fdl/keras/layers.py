"""Layers as data: a common description for Linen modules and Keras models.

Both sides use the same layout of arrays, so a conversion only renames: list the layers
of both, pair them (see `fdl.keras.matching`), and copy the arrays.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fdl.arrays import PyTree
from fdl.weights import WeightsError, describe

Path = tuple[str, ...]


class Layer(NamedTuple):
    """A layer with arrays, or one part of a composite layer.

    Attributes:
        names: Names of the enclosing modules and the layer, outermost first.
        role: Name of the part, such as `"query"` in attention; empty for a whole layer.
        kind: Class of the whole layer in Keras' spelling, such as `"conv2d"`; None if
            unknown.
        place: Position among the layers of a class: `("dense_2",)` is after
            `("dense",)`; empty if unknown.
        arrays: The arrays in Keras' order; any objects with a `shape` and a `dtype`.
    """

    names: Path
    role: str
    kind: str | None
    place: Path
    arrays: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The name in Keras, including the role of a part."""
        return ":".join(filter(None, ("_".join(self.names), self.role)))

    def __str__(self) -> str:
        """Describe the layer for messages."""
        arrays = ", ".join(map(describe, self.arrays))
        name = self.name or "/".join(self.place)
        return f"{name!r} ({self.kind or 'layer'} of {arrays})"


class Slot(NamedTuple):
    """The place of an array in the variables of a module.

    Attributes:
        path: Collection, modules and name: `("params", "conv1", "kernel")`.
        shape: Shape of the array.
        dtype: Type of the array.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: Any


KINDS = frozenset(
    """conv1d conv2d depthwise_conv2d separable_conv2d conv2d_transpose dense embedding
    batch_normalization layer_normalization group_normalization simple_rnn lstm gru
    bidirectional multi_head_attention additive_attention""".split()
)
"""Keras classes whose arrays have the same layout in the Linen module."""

# Every Keras layer creates its arrays in this order.
ORDER = (
    "embedding",
    "depthwise_kernel",
    "pointwise_kernel",
    "kernel",
    "recurrent_kernel",
    "scale",
    "bias",
    "mean",
    "var",
)
COLLECTIONS = ("params", "batch_stats")
COMPOSITES = ({"query", "key", "value", "out"}, {"forward", "backward"})


def of_module(
    model: nn.Module, inputs: Sequence[Any], without: Sequence[Path] = ()
) -> list[Layer]:
    """Return the layers of a module in order of definition, without computing anything.

    Args:
        model: Any Linen module.
        inputs: Arguments of `model.init` after the key; only shapes and types are used.
        without: Paths of modules to leave out, with everything inside them.

    Raises:
        WeightsError: If the module has arrays that no Keras layer has.
    """
    kinds: dict[Path, str] = {}
    layers: list[Layer] = []

    def note_class(method: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        kinds[context.module.path] = snake_case(type(context.module).__name__)
        return method(*args, **kwargs)

    def trace(*inputs: Any) -> None:
        with nn.intercept_methods(note_class):
            variables = model.init(jax.random.key(0), *inputs)
        # Inside the trace, since JAX sorts the dictionaries that it returns.
        layers.extend(_layers(outside(variables, without), kinds))

    jax.eval_shape(trace, *inputs)
    return [
        layer._replace(place=(f"layer_{number}",))
        for number, layer in enumerate(layers)
    ]


def outside(variables: PyTree, paths: Sequence[Path]) -> PyTree:
    """Return variables without those of the modules at some paths."""
    flat: dict[Path, Any] = flatten_dict(variables)
    kept = {
        path: x
        for path, x in flat.items()
        if not any(path[1 : 1 + len(each)] == each for each in paths)
    }
    return unflatten_dict(kept)


def of_module_for(
    model: nn.Module, inputs: Sequence[jax.ShapeDtypeStruct], where: str
) -> list[Layer]:
    """Return the layers of a module for inputs that the file `where` describes.

    Raises:
        WeightsError: If the module has arrays that no Keras layer has, or does not
            accept such inputs.
    """
    try:
        return of_module(model, inputs)
    except WeightsError:
        raise
    except Exception as error:  # a model may raise anything
        shapes = ", ".join(map(describe, inputs))
        raise WeightsError(
            f"{where} has inputs {shapes} (with 1 for unknown sizes), which "
            f"{type(model).__name__} does not accept: pass an example input."
        ) from error


def of_variables(variables: PyTree) -> list[Layer]:
    """Return the layers of variables, whose classes and order are unknown."""
    return _layers(variables, {})


def arrays_of(variables: PyTree, layers: Iterable[Layer]) -> dict[Path, np.ndarray]:
    """Return arrays by path, after checking that they fit `layers`.

    Raises:
        WeightsError: If an array is missing, unexpected, or has the wrong shape.
    """
    found = {path: np.asarray(leaf) for path, leaf in flatten_dict(variables).items()}
    wanted = {slot.path: slot for layer in layers for slot in layer.arrays}
    for path in sorted(wanted.keys() | found.keys()):
        name = "/".join(path)
        if path not in found:
            raise WeightsError(f"variables lack {name}, {describe(wanted[path])}.")
        if path not in wanted:
            raise WeightsError(
                f"variables contain {name}, which the model does not have."
            )
        if found[path].shape != tuple(wanted[path].shape):
            raise WeightsError(
                f"variables have {name} as {describe(found[path])}, but the model "
                f"needs {describe(wanted[path])}."
            )
    return found


def variables_of(arrays: Mapping[Path, np.ndarray]) -> PyTree:
    """Return nested variables, as in Linen, from arrays by path."""
    return {"params": {}} | unflatten_dict(dict(arrays))


def parts(
    paths: Sequence[Path], role_of: Callable[[str], str]
) -> list[tuple[Path, str]]:
    """Recognize parts of composite layers: return each path's layer and role.

    Only a complete set of parts with no siblings makes a composite layer, so that a
    layer that happens to be named `key` remains a layer.

    Args:
        paths: Paths of all groups of arrays.
        role_of: Function from the last name of a path to its role, or `""`.
    """
    roles = [role_of(path[-1]) if path else "" for path in paths]
    beside: dict[Hashable, set[str]] = defaultdict(set)
    for path, role in zip(paths, roles, strict=True):
        beside[path[:-1]].add(role)
    return [
        (path[:-1], role) if beside[path[:-1]] in COMPOSITES else (path, "")
        for path, role in zip(paths, roles, strict=True)
    ]


def snake_case(name: str) -> str:
    """Convert a class name to the spelling in Keras files.

    Example:
        >>> [snake_case(name) for name in ("LSTM", "SimpleRNN", "Conv2DTranspose")]
        ['lstm', 'simple_rnn', 'conv2d_transpose']
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()


def _layers(variables: PyTree, kinds: Mapping[Path, str]) -> list[Layer]:
    """Group arrays by module, in the order of the dictionaries."""
    strange = sorted(set(variables) - set(COLLECTIONS))
    if strange:
        raise WeightsError(f"Keras has no equivalent of the collection {strange[0]!r}.")
    modules: dict[Path, list[Slot]] = {}
    for collection in COLLECTIONS:
        leaves: dict[Path, Any] = flatten_dict(variables.get(collection, {}))
        for path, leaf in leaves.items():
            if path[-1] not in ORDER:
                raise WeightsError(
                    f"{collection}/{'/'.join(path)} is an array that no Keras layer "
                    f"has; supported names are {', '.join(ORDER)}."
                )
            slot = Slot((collection, *path), leaf.shape, leaf.dtype)
            modules.setdefault(path[:-1], []).append(slot)
    role_of = lambda piece: piece if any(piece in c for c in COMPOSITES) else ""
    known = {path: kind for path, kind in kinds.items() if kind in KINDS}
    return [
        Layer(
            names=path,
            role=role,
            kind=known.get(path),
            place=(),
            arrays=tuple(sorted(slots, key=lambda slot: ORDER.index(slot.path[-1]))),
        )
        for (path, role), slots in zip(
            parts(list(modules), role_of), modules.values(), strict=True
        )
    ]
