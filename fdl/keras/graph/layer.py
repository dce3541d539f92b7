"""Run a Keras layer as a Linen module, and a graph of layers within one."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from fdl.arrays import Array, PyTree
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
from fdl.keras.graph.names import keys_in_file, module_name
from fdl.keras.table import LAYERS, Entry
from fdl.keras.table.activations import activate
from fdl.keras.table.entry import Change, Run, Weight
from fdl.keras.table.initializers import check, draw
from fdl.keras.table.regularizers import penalty

HALF = ("float16", "bfloat16")


class Value(NamedTuple):
    """An array that is passed between layers.

    Attributes:
        array: The array.
        mask: True for the steps of a sequence that are not padding; None if there is
            no padding.
    """

    array: Any
    mask: Any = None


class Mode(NamedTuple):
    """Settings of a run that all layers of a model share.

    Attributes:
        train: Whether the model is being trained.
        casts: Whether each layer casts to its own compute type; otherwise all compute
            in the types of inputs and weights, as Linen layers do.
        custom: Functions that make modules for custom layers, by class.
        keras2: Whether masks propagate as in Keras 2.
    """

    train: bool
    casts: bool
    custom: Mapping[str, Callable[..., nn.Module]]
    keras2: bool = False


class KerasLayer(nn.Module):
    """A layer; the table of layers defines what it computes."""

    layer: Layer
    place: str
    learns: bool
    mode: Mode
    change: Change | None = None

    @nn.compact
    def __call__(
        self, args: tuple, kwargs: dict[str, Any], counts: bool = True
    ) -> PyTree:
        """Apply the layer to arguments that contain `Value`s, and return `Value`s.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            counts: Whether the activity of this layer is penalized.
        """
        mode, kwargs = self.mode, dict(kwargs)
        if self.layer.graph:
            kwargs.pop("mask", None)
            (given,) = args
            place = f"{self.place}/layers"
            return run_graph(self, self.layer.graph, given, place, self.learns, mode)
        if self.layer.kind in mode.custom:
            return self._custom(mode.custom[self.layer.kind], args, mode)
        entry = LAYERS[self.layer.kind]
        mask = kwargs.pop("mask", None) if "mask" not in entry.kwargs else None
        run = _Run(self, mode)
        run.masks = dict(enumerate(map_leaves(_mask, args)))
        run.masks |= map_leaves(_mask, kwargs)
        run.mask = mask.array if isinstance(mask, Value) else run.masks.get(0)
        # Keras 3 propagates masks automatically only through layers of one tensor.
        others = [x for x in leaves((args[1:], kwargs)) if isinstance(x, Value)]
        is_passed = mode.keras2 or mask is not None or not others
        run.passed = run.mask if is_passed else None
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

    @property
    def kind_of_layer(self) -> str:
        """The class in Keras, for `fdl.layers`."""
        return self.layer.graph.kind if self.layer.graph else self.layer.kind

    def weight(self, asked: Weight) -> Array:
        """Return a weight that the table declares."""
        settings, shape = self.layer.options, asked.shape
        if asked.again:
            return jnp.zeros(shape)
        initializer = settings.get(f"{asked.prefix}_initializer") or check(asked.start)
        dtype = jax.dtypes.canonicalize_dtype(self.layer.variable_dtype)
        drawn = asked.drawn or draw(initializer, asked.fans)
        if not asked.trained:
            start_at = lambda: drawn(jax.random.key(0), shape, dtype)
            return self.variable("batch_stats", asked.name, start_at).value
        w = self.param(asked.name, lambda key: drawn(key, shape, dtype))
        regularizer = settings.get(f"{asked.prefix}_regularizer")
        if not self.learns:
            w = lax.stop_gradient(w)
        elif regularizer and not self.is_initializing():
            # Counted once, even if the layer is called several times.
            self.sow(
                "losses",
                asked.name,
                penalty(regularizer, w),
                init_fn=lambda: 0.0,
                reduce_fn=lambda _, new: new,  # pyright: ignore[reportArgumentType]
            )
        if self.change is not None:
            w = self.change(asked.name, w)
        return self._rounded(w)

    def _custom(self, make: Callable[..., nn.Module], args: tuple, mode: Mode) -> Any:
        module = make(**self.layer.options).clone(parent=self, name="custom")
        takes_train = "train" in inspect.signature(type(module).__call__).parameters
        kwargs = {"train": mode.train} if takes_train else {}
        return _values(module(*map_leaves(self._array, args), **kwargs), None)

    def _array(self, value: Any) -> Any:
        """Return an argument in the layer's compute type."""
        if not isinstance(value, Value):
            return value
        x = value.array
        is_function = self.layer.kind.startswith("ops.")  # not cast, as in Keras
        is_float = jnp.issubdtype(x.dtype, jnp.floating)
        if is_function or not self.mode.casts or not is_float:
            return x
        dtype = self.layer.dtype
        return x.astype(dtype if dtype in HALF else jnp.promote_types(x.dtype, dtype))

    def _rounded(self, x: Any) -> Any:
        dtype = self.layer.dtype
        is_float = hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)
        return x.astype(dtype) if is_float and dtype in HALF else x


class _Run(Run):
    """One call of a layer, see `fdl.keras.table.entry.Run`."""

    def __init__(self, module: KerasLayer, mode: Mode) -> None:
        self.module, self.mode = module, mode
        self.options: Options = module.layer.options
        self.train, self.learns = mode.train, module.learns
        self.mask: Any = None
        self.passed: Any = None
        self.masks: dict[int | str, Any] = {}
        self.out_mask: Any = None

    def ask(self, weight: Weight) -> Array:
        """Return a weight."""
        return self.module.weight(weight)

    def update(self, name: str, value: Array) -> None:
        """Set a statistic."""
        if not self.module.is_initializing():
            self.module.put_variable("batch_stats", name, value)

    def key(self) -> Array:
        """Return a random key."""
        return self.module.make_rng("dropout")

    def part(
        self, name: str, layer: Layer, at: str, change: Change | None = None
    ) -> Callable[..., Any]:
        """Return a function that calls a layer inside this one."""
        outer = self.module
        learns = outer.learns and layer.trainable
        place = f"{outer.place}/{at}"
        part = KerasLayer(
            layer, place, learns, self.mode, change, parent=outer, name=name
        )

        def call(*args: Any, mask: Any = None, counts: bool = True, **kw: Any) -> Any:
            values = tuple(map_leaves(Value, each) for each in args)
            if mask is not None:
                values = (_values(args[0], mask), *values[1:])
                if kw:
                    kw = {**kw, "mask": mask}
            made = part(values, {k: _values(v, None) for k, v in kw.items()}, counts)
            return map_leaves(lambda value: value.array, made)

        return call

    def activation(self, x: Array, option: str = "activation") -> Array:
        """Apply the activation that an option names."""
        named = self.options[option]
        if isinstance(named, Layer):
            return self.part(f"{option}_layer", named, option)(x)
        return activate(named, x)


def run_graph(
    module: nn.Module, graph: Graph, given: Any, place: str, learns: bool, mode: Mode
) -> Any:
    """Run the calls of a graph in order, within a compact method of a module."""
    layers = [
        None
        if layer.kind == "InputLayer"
        else KerasLayer(
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
            if kind in LAYERS and LAYERS[kind].takes_masks and not mode.keras2:
                for ref in leaves((call.args, call.kwargs)):
                    if isinstance(ref, Ref) and isinstance(made[ref.call], Value):
                        made[ref.call] = made[ref.call]._replace(mask=None)
    return map_leaves(argument, graph.outputs)


def _mask(value: Any) -> Any:
    return value.mask if isinstance(value, Value) else None


def _values(arrays: Any, mask: Any) -> Any:
    """Pair arrays with their masks, which are nested like the arrays."""
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
