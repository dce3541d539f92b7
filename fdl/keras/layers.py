"""Layers as data: one form for those of a Linen module and for those of Keras.

Both sides lay out arrays alike, so that a conversion is a renaming: find the layers of
both, pair them (see `fdl.keras.matching`), and copy array by array.
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
    """A layer that holds arrays, or one part of a layer that is made of layers.

    Attributes:
        names: Names of the modules around it and its own, outermost first.
        role: Which part it is, such as `"query"` of attention; empty for a whole layer.
        kind: Class of the whole layer, as Keras spells it in files: `"conv2d"`; None
            if unknown.
        place: What tells its place among layers of its kind: `("dense_2",)` is after
            `("dense",)`; empty if nothing does.
        arrays: Its arrays in Keras' order; whatever has a `shape` and a `dtype`.
    """

    names: Path
    role: str
    kind: str | None
    place: Path
    arrays: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Name as Keras would have it, in one piece; with its part if it is one."""
        return ":".join(filter(None, ("_".join(self.names), self.role)))

    def __str__(self) -> str:
        """Describe the layer for messages."""
        arrays = ", ".join(map(describe, self.arrays))
        name = self.name or "/".join(self.place)
        return f"{name!r} ({self.kind or 'layer'} of {arrays})"


class Slot(NamedTuple):
    """Where an array belongs in the variables of a module.

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
"""Classes of Keras whose arrays Linen modules of the same class hold alike."""

# Every layer of Keras creates its arrays in this order, whichever of them it has.
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


def of_module(model: nn.Module, inputs: Sequence[Any]) -> list[Layer]:
    """Return the layers of a module, in order of definition; nothing is computed.

    Args:
        model: Any Linen module.
        inputs: What `model.init` takes after the key; only shapes and types are used.

    Raises:
        WeightsError: If the module keeps arrays that no layer of Keras has.
    """
    kinds: dict[Path, str] = {}
    layers: list[Layer] = []

    def note_class(method: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        kinds[context.module.path] = snake_case(type(context.module).__name__)
        return method(*args, **kwargs)

    def trace(*inputs: Any) -> None:
        with nn.intercept_methods(note_class):
            variables = model.init(jax.random.key(0), *inputs)
        # In here, since a dictionary that leaves a trace comes out sorted.
        layers.extend(_layers(variables, kinds))

    jax.eval_shape(trace, *inputs)
    return [
        layer._replace(place=(f"layer_{number}",))
        for number, layer in enumerate(layers)
    ]


def of_module_for(
    model: nn.Module, inputs: Sequence[jax.ShapeDtypeStruct], where: str
) -> list[Layer]:
    """Return the layers of a module for inputs that were found, not given.

    Raises:
        WeightsError: Also if the module does not take such inputs.
    """
    try:
        return of_module(model, inputs)
    except WeightsError:
        raise
    except Exception as error:  # a model may raise anything
        shapes = ", ".join(map(describe, inputs))
        raise WeightsError(
            f"{where} has inputs {shapes} (with 1 for sizes that are open), which "
            f"{type(model).__name__} does not take: pass an example input."
        ) from error


def of_variables(variables: PyTree) -> list[Layer]:
    """Return the layers of variables; their kinds and their order are unknown."""
    return _layers(variables, {})


def arrays_of(variables: PyTree, layers: Iterable[Layer]) -> dict[Path, np.ndarray]:
    """Return arrays by path, once they are known to be those of `layers`.

    Raises:
        WeightsError: If an array is missing, left over, or of another shape.
    """
    found = {path: np.asarray(leaf) for path, leaf in flatten_dict(variables).items()}
    wanted = {slot.path: slot for layer in layers for slot in layer.arrays}
    for path in sorted(wanted.keys() | found.keys()):
        name = "/".join(path)
        if path not in found:
            raise WeightsError(f"variables lack {name}, {describe(wanted[path])}.")
        if path not in wanted:
            raise WeightsError(f"variables have {name}, which the model has not.")
        if found[path].shape != tuple(wanted[path].shape):
            raise WeightsError(
                f"variables have {name} as {describe(found[path])}, but the model "
                f"needs {describe(wanted[path])}."
            )
    return found


def variables_of(arrays: Mapping[Path, np.ndarray]) -> PyTree:
    """Return variables, nested as Linen has them, of arrays by path."""
    return {"params": {}} | unflatten_dict(dict(arrays))


def parts(
    paths: Sequence[Path], role_of: Callable[[str], str]
) -> list[tuple[Path, str]]:
    """Tell parts of a layer from layers: give the path of the layer, and the role.

    Only a full set of parts without anything beside it makes a composite layer, so that
    a layer that happens to be called `key` stays a layer.

    Args:
        paths: Paths of everything that holds arrays.
        role_of: Role that the last piece of a path stands for; empty if for none.
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
    """Spell a class as Keras does in files.

    Example:
        >>> [snake_case(name) for name in ("LSTM", "SimpleRNN", "Conv2DTranspose")]
        ['lstm', 'simple_rnn', 'conv2d_transpose']
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()


def _layers(variables: PyTree, kinds: Mapping[Path, str]) -> list[Layer]:
    """Group arrays by module, in the order of the dictionaries."""
    strange = sorted(set(variables) - set(COLLECTIONS))
    if strange:
        raise WeightsError(f"Keras has nothing for the collection {strange[0]!r}.")
    modules: dict[Path, list[Slot]] = {}
    for collection in COLLECTIONS:
        leaves: dict[Path, Any] = flatten_dict(variables.get(collection, {}))
        for path, leaf in leaves.items():
            if path[-1] not in ORDER:
                raise WeightsError(
                    f"{collection}/{'/'.join(path)} is an array that no layer of Keras "
                    f"has; known are {', '.join(ORDER)}."
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
