"""One Linen module that runs any graph of Keras layers."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict
from jax import lax

from fdl.arrays import Array, PyTree
from fdl.keras.constraints import Constraint
from fdl.keras.graph.description import (
    Constant,
    Graph,
    Layer,
    Options,
    Ref,
    Slice,
    leaves,
    map_leaves,
)
from fdl.keras.layers import snake_case
from fdl.keras.table import LAYERS, Entry
from fdl.keras.table.activations import activate
from fdl.keras.table.entry import Run
from fdl.keras.table.initializers import Draw, check, draw
from fdl.keras.table.regularizers import constraint, penalty

_HALF = ("float16", "bfloat16")


class Value(NamedTuple):
    """An array between layers.

    Attributes:
        array: The array.
        mask: True where a step of a sequence is real; None if all are.
    """

    array: Any
    mask: Any = None


class Mode(NamedTuple):
    """What holds for a whole model while it runs.

    Attributes:
        train: Whether it is trained.
        casts: Whether layers compute in types of their own; otherwise all compute in
            the types of inputs and weights, as Linen's do.
        custom: What makes modules for classes of the user's own, by class.
    """

    train: bool
    casts: bool
    custom: Mapping[str, Callable[..., nn.Module]]


class KerasModel(nn.Module):
    """A Keras model as a Linen module, made by `fdl.keras.import_model`.

    Its sub-modules have the names of Keras' layers. It is called with the inputs by
    position, by name, or nested as in Keras, with any leading axes before those of one
    example, and returns the outputs nested as in Keras, with tuples for lists.

    With `train=True`, dropout needs the random key `dropout`, and batch normalization
    updates `batch_stats`. Penalties of weights and activities are sown into `losses`.
    Layers that are not trained in Keras get no gradient.

    Attributes:
        graph: The layers, and which outputs go into which.
        custom_layers: What makes modules for classes of the user's own, by class.

    Example:
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

    def __repr__(self) -> str:
        """List the layers, each with what goes into it."""
        return repr(self.graph)

    @nn.compact
    def __call__(self, *inputs: Any, train: bool = False, **named: Any) -> PyTree:
        """Apply the model."""
        given, batch = _with_one_batch_axis(self.graph, _inputs(self, inputs, named))
        mode = Mode(train, not _is_uniform(self.graph), FrozenDict(self.custom_layers))
        outputs = _run(self, self.graph, given, "layers", True, mode)
        return map_leaves(lambda value: _unflattened(value.array, batch), outputs)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Paths of the layers that are not trained, for `fdl.learners.frozen`."""
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


class _KerasLayer(nn.Module):
    """A layer: asks the table what it does."""

    layer: Layer
    place: str
    learns: bool
    mode: Mode

    @nn.compact
    def __call__(
        self, args: tuple, kwargs: dict[str, Any], counts: bool = True
    ) -> PyTree:
        """Return `Value`s for arguments that hold `Value`s.

        Args:
            args: The arguments.
            kwargs: Those by name.
            counts: Whether the activity of this layer is penalized.
        """
        mode, kwargs = self.mode, dict(kwargs)
        if self.layer.graph:
            kwargs.pop("mask", None)
            (given,) = args
            place = f"{self.place}/layers"
            return _run(self, self.layer.graph, given, place, self.learns, mode)
        if self.layer.kind in mode.custom:
            return self._custom(mode.custom[self.layer.kind], args, mode)
        entry = LAYERS[self.layer.kind]
        mask = kwargs.pop("mask", None) if "mask" not in entry.kwargs else None
        run = _Run(self, mode)
        run.masks = dict(enumerate(map_leaves(_mask, args)))
        run.masks |= map_leaves(_mask, kwargs)
        run.mask = mask.array if isinstance(mask, Value) else run.masks.get(0)
        args = map_leaves(self._array, args)
        kwargs = map_leaves(self._array, kwargs)
        outputs = map_leaves(self._rounded, entry.run(run, *args, **kwargs))
        activity = self.layer.options.get("activity_regularizer")
        if activity and counts and not self.is_initializing():
            for y in leaves(outputs):
                self.sow(
                    "losses",
                    "activity",
                    penalty(activity, y) / max(1, y.shape[0]),
                    init_fn=lambda: 0.0,
                    reduce_fn=lambda a, b: a + b,  # pyright: ignore[reportArgumentType]
                )
        return _values(outputs, _out_mask(entry, run, outputs))

    def weight(
        self,
        name: str,
        shape: tuple[int, ...],
        options: str | None = None,
        *,
        at: str = "",
        fans: tuple[int, int] | None = None,
        start: str | None = None,
        drawn: Draw | None = None,
        trained: bool = True,
    ) -> Array:
        """Return a weight, see `fdl.keras.table.entry.Run`."""
        settings = self.layer.options
        prefix = name if options is None else options
        initializer = settings.get(f"{prefix}_initializer") or check(start or "Zeros")
        dtype = jax.dtypes.canonicalize_dtype(self.layer.variable_dtype)
        drawn = drawn or draw(initializer, fans)
        if not trained:
            start_at = lambda: drawn(jax.random.key(0), shape, dtype)
            return self.variable("batch_stats", name, start_at).value
        w = self.param(name, lambda key: drawn(key, shape, dtype))
        regularizer = settings.get(f"{prefix}_regularizer")
        if not self.learns:
            w = lax.stop_gradient(w)
        elif regularizer and not self.is_initializing():
            # Once, however often the layer is called.
            self.sow(
                "losses",
                name,
                penalty(regularizer, w),
                init_fn=lambda: 0.0,
                reduce_fn=lambda _, new: new,  # pyright: ignore[reportArgumentType]
            )
        return self._rounded(w)

    def _custom(self, make: Callable[..., nn.Module], args: tuple, mode: Mode) -> Any:
        module = make(**self.layer.options).clone(parent=self, name="custom")
        takes_train = "train" in inspect.signature(type(module).__call__).parameters
        kwargs = {"train": mode.train} if takes_train else {}
        return _values(module(*map_leaves(self._array, args), **kwargs), None)

    def _array(self, value: Any) -> Any:
        """Return an argument as the layer computes with it."""
        if not isinstance(value, Value):
            return value
        x = value.array
        if not self.mode.casts or not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        dtype = self.layer.dtype
        return x.astype(dtype if dtype in _HALF else jnp.promote_types(x.dtype, dtype))

    def _rounded(self, x: Any) -> Any:
        dtype = self.layer.dtype
        is_float = hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)
        return x.astype(dtype) if is_float and dtype in _HALF else x


class _Run(Run):
    """A layer that runs, see `fdl.keras.table.entry.Run`."""

    def __init__(self, module: _KerasLayer, mode: Mode) -> None:
        self.module, self.mode = module, mode
        self.options: Options = module.layer.options
        self.train, self.learns = mode.train, module.learns
        self.mask: Any = None
        self.masks: dict[int | str, Any] = {}
        self.out_mask: Any = None

    def weight(self, *args: Any, **kwargs: Any) -> Array:
        """Return a weight."""
        return self.module.weight(*args, **kwargs)

    def update(self, name: str, value: Array) -> None:
        """Set a statistic."""
        if not self.module.is_initializing():
            self.module.put_variable("batch_stats", name, value)

    def key(self) -> Array:
        """Return a random key."""
        return self.module.make_rng("dropout")

    def part(self, name: str, layer: Layer, at: str) -> Callable[..., Any]:
        """Return a layer that belongs to this one."""
        outer = self.module
        learns = outer.learns and layer.trainable
        place = f"{outer.place}/{at}"
        part = _KerasLayer(layer, place, learns, self.mode, parent=outer, name=name)

        def call(*args: Any, mask: Any = None, counts: bool = True, **kw: Any) -> Any:
            values = tuple(map_leaves(Value, each) for each in args)
            if mask is not None:
                values = (_values(args[0], mask), *values[1:])
            made = part(values, {k: _values(v, None) for k, v in kw.items()}, counts)
            return map_leaves(lambda value: value.array, made)

        return call

    def activation(self, x: Array, option: str = "activation") -> Array:
        """Apply an activation that is an option."""
        named = self.options[option]
        if isinstance(named, Layer):
            return self.part(f"{option}_layer", named, option)(x)
        return activate(named, x)


def _run(
    module: nn.Module, graph: Graph, given: Any, place: str, learns: bool, mode: Mode
) -> Any:
    """Run the calls of a graph in order, within a compact method of a module."""
    layers = [
        None
        if layer.kind == "InputLayer"
        else _KerasLayer(
            layer,
            f"{place}/{key}",
            learns and layer.trainable,
            mode,
            name=module_name(layer.name),
        )
        for layer, key in zip(graph.layers, keys_in_file(graph), strict=True)
    ]
    made: list[Any] = [None] * len(graph.calls)
    for ref, value in zip(leaves(graph.inputs), leaves(given), strict=True):
        made[ref.call] = value

    def argument(leaf: Any) -> Any:
        match leaf:
            case Ref():
                found = made[leaf.call]
                # Layers with several outputs return tuples, even nested ones.
                flat = [found] if isinstance(found, Value) else leaves(found)
                return flat[leaf.output]
            case Constant():
                return Value(jnp.asarray(leaf.value, leaf.dtype))
            case Slice():
                return slice(*leaf)
        return leaf

    for number, call in enumerate(graph.calls):
        layer = layers[call.layer]
        if layer is not None:
            made[number] = layer(
                map_leaves(argument, call.args), map_leaves(argument, call.kwargs)
            )
            kind = graph.layers[call.layer].kind
            if kind in LAYERS and LAYERS[kind].takes_masks:
                for ref in leaves((call.args, call.kwargs)):
                    if isinstance(ref, Ref) and isinstance(made[ref.call], Value):
                        made[ref.call] = made[ref.call]._replace(mask=None)
    return map_leaves(argument, graph.outputs)


def module_name(name: str) -> str:
    """Return the name of a layer's sub-module: Linen's own words have a line behind."""
    taken = hasattr(_KerasLayer, name) or hasattr(KerasModel, name)
    return f"{name}_" if taken or name in ("graph", "custom_layers", "mode") else name


def keys_in_file(graph: Graph) -> list[str]:
    """Return the names of the layers' groups in files: `dense`, `dense_1`, ..."""
    counts: dict[str, int] = {}
    keys = []
    for layer in graph.layers:
        if layer.kind.startswith("ops."):
            keys.append("")
            continue
        kind = snake_case(layer.graph.kind if layer.graph else layer.kind)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        keys.append(f"{kind}_{number}" if number else kind)
    return keys


def _is_uniform(graph: Graph) -> bool:
    """Whether all layers compute in one type, that of their weights."""
    types = set(_types(graph))
    return len(types) <= 1 and not types & set(_HALF)


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
                f"the inputs are named {', '.join(map(str, given))}, but the model's "
                f"are {', '.join(map(str, keys))}."
            )
        given = [given[key] for key in keys]
    found = leaves(given)
    if len(found) != len(refs):
        raise ValueError(
            f"there are {len(found)} inputs, but the model has {len(refs)}: "
            f"{', '.join(names)}."
        )
    order = iter(found)
    return map_leaves(lambda _: jnp.asarray(next(order)), wanted)


def _with_one_batch_axis(graph: Graph, given: Any) -> tuple[Any, tuple[int, ...]]:
    """Return inputs with a single axis before those of an example, and the axes."""
    batch: tuple[int, ...] | None = None
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
                f"the input {name} has leading axes {own}, but those before have "
                f"{batch}."
            )
        batch = own
        one = x if len(own) == 1 else x.reshape(math.prod(own), *x.shape[len(own) :])
        flat.append(Value(one))
    order = iter(flat)
    return map_leaves(lambda _: next(order), graph.inputs), batch or ()


def _unflattened(y: Array, batch: tuple[int, ...]) -> Array:
    if len(batch) == 1 or y.ndim == 0 or y.shape[0] != math.prod(batch):
        return y
    return y.reshape(*batch, *y.shape[1:])


def _mask(value: Any) -> Any:
    return value.mask if isinstance(value, Value) else None


def _values(arrays: Any, mask: Any) -> Any:
    """Pair arrays with a mask: one for all, or nested as the arrays are."""
    if isinstance(arrays, tuple | list) and not hasattr(arrays, "_fields"):
        masks = mask if isinstance(mask, tuple | list) else [None] * len(arrays)
        pairs = zip(arrays, masks, strict=True)
        return tuple(_values(array, each) for array, each in pairs)
    if isinstance(arrays, dict):
        return {key: _values(each, None) for key, each in arrays.items()}
    is_array = hasattr(arrays, "dtype")
    return Value(arrays, mask) if is_array else arrays


def _out_mask(entry: Entry, run: _Run, outputs: Any) -> Any:
    if run.out_mask is not None:
        return run.out_mask
    if not entry.keeps_mask or isinstance(outputs, tuple | dict):
        return None
    return None if isinstance(run.mask, tuple | dict) else run.mask
