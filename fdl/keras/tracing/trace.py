"""Convert a Linen module to a `Graph` by tracing it.

JAX traces the module for a batch of symbolic size. Modules and functions that are
layers in Keras leave a marker in the jaxpr, which makes the equations inside them dead
code; the few operations between layers become functions of `keras.ops`.
"""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import numpy as np
from jax import export
from jax.extend import core

from fdl.arrays import with_rows
from fdl.keras.tracing import functions, modules
from fdl.keras.tracing.builder import Builder
from fdl.keras.tracing.equations import operation
from fdl.keras.tracing.finish import Traced, finished
from fdl.keras.tracing.nodes import Out, Weight
from fdl.ops.layers import watch_layers
from fdl.weights import WeightsError

_MARK = core.Primitive("keras_layer")
_MARK.multiple_results = True
_MARK.def_abstract_eval(lambda *given, outputs, **_: list(outputs))


def trace(model: linen.Module, *inputs: Any, dtype: str = "float32") -> Traced:
    """Express a module in Keras layers.

    Args:
        model: The module.
        *inputs: Example inputs, batch first, of which only shapes and types are used.
        dtype: The type of the weights, in which Keras will also compute.

    Raises:
        WeightsError: If a module has weights that no Keras layer has, or an operation
            does not exist in `keras.ops`; the message names it.

    Example:
        >>> from fdl.models import MLP
        >>> trace(MLP(10, hidden_sizes=(32,)), np.zeros((1, 28, 28, 1))).graph
        Sequential 'mlp'
          inputs = Input([28, 28, 1])
          flatten = Flatten(inputs)
          dense1 = Dense(flatten)
          dropout = Dropout(dense1)
          head = Dense(dropout)
          return head
    """
    seen: list[_Seen] = []
    classes: dict[tuple[str, ...], str] = {}

    def mark(made: Any, outputs: Any, path: tuple[str, ...], given: Any) -> Any:
        arrays, tree = jax.tree.flatten(given)
        leaves, out_tree = jax.tree.flatten(outputs)
        places = [i for i, x in enumerate(arrays) if hasattr(x, "ndim")]
        seen.append(_Seen(made, path, tree, arrays, places))
        marked = _MARK.bind(
            *(arrays[i] for i in places),
            outputs=tuple(jax.typeof(x) for x in leaves),
            number=len(seen) - 1,
        )
        return jax.tree.unflatten(out_tree, marked)

    def module_called(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        classes.setdefault(module.path, type(module).__name__)
        outputs = call(*args, **kwargs)
        try:
            made = modules.of_module(module, context.method_name, args, kwargs)
        except WeightsError as error:  # raised later, unless a layer encloses it
            return mark(error, outputs, module.path, (args, kwargs))
        if made is None:
            return outputs
        return mark(made, outputs, module.path, (made.args, made.kwargs))

    def function_called(function: Any, args: Any, kwargs: Any) -> Any:
        made = functions.of_function(function, args, kwargs)
        outputs = function(*args, **kwargs)
        if made is None:
            return outputs
        return mark(made, outputs, (), (made.args, made.kwargs))

    shapes, batch = _with_any_batch(inputs)
    with linen.intercept_methods(module_called), watch_layers(function_called):
        variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
        seen.clear()
        program, answer = jax.make_jaxpr(model.apply, return_shape=True)(
            variables, *shapes
        )
    builder = Builder(batch, dtype)
    names = _input_names(model, shapes)
    refs = [
        builder.input(name, x)
        for name, x in zip(names, jax.tree.leaves(shapes), strict=True)
    ]
    weights = [
        Weight(path, classes)
        for path, _ in jax.tree_util.tree_leaves_with_path(variables)
    ]
    reader = _Reader(builder, seen)
    outputs = reader.run(program.jaxpr, program.consts, [*weights, *refs])
    outs = [
        builder.as_output(x, a)
        for x, a in zip(outputs, jax.tree.leaves(answer), strict=True)
    ]
    name = type(model).__name__.lower()
    return finished(builder, name, shapes, answer, refs, outs)


class _Seen(NamedTuple):
    """A call that left a marker.

    Attributes:
        made: The call of a Keras layer, or the error that explains why there is none.
        path: Path of the module; empty for functions.
        tree: Tree structure of the arguments.
        given: The arguments, flattened.
        places: Indices of the arguments that are arrays.
    """

    made: modules.Described | WeightsError
    path: tuple[str, ...]
    tree: Any
    given: list[Any]
    places: list[int]


class _Reader:
    """Reader of a jaxpr, equation by equation, into a builder."""

    def __init__(self, builder: Builder, seen: list[_Seen]) -> None:
        self.builder, self.seen = builder, seen

    def run(self, program: core.Jaxpr, consts: Any, inputs: list[Any]) -> list[Any]:
        """Return the values of the outputs for values of the inputs."""
        values: dict[Any, Any] = dict(
            zip(program.constvars, map(np.asarray, consts), strict=True)
        )
        values.update(zip(program.invars, inputs, strict=True))
        read = lambda x: np.asarray(x.val) if isinstance(x, core.Literal) else values[x]
        for equation in _live(program):
            made = self._equation(equation, [read(x) for x in equation.invars])
            values.update(zip(equation.outvars, made, strict=True))
        return [read(x) for x in program.outvars]

    def _equation(self, equation: Any, given: list[Any]) -> list[Any]:
        params = equation.params
        if equation.primitive is _MARK:
            return self._layer(self.seen[params["number"]], given, equation.outvars)
        inner = next((params[k] for k in _INNER if k in params), None)
        if inner is None:
            return operation(self.builder, equation, given)
        activation = functions.ACTIVATIONS.get(str(params.get("name")))
        # There may be a second argument: a slope, which is 1 by default.
        is_plain = all(np.all(x == 1) for x in given[1:] if not isinstance(x, Out))
        if activation and isinstance(given[0], Out) and is_plain:
            made = functions.activation(activation, None)
            return [self.builder.layer(made.kind, made.options, (given[0],))]
        closed = isinstance(inner, core.ClosedJaxpr)
        program, consts = (inner.jaxpr, inner.consts) if closed else (inner, ())
        return self.run(program, consts, given)

    def _layer(self, seen: _Seen, given: list[Any], outvars: Any) -> list[Any]:
        if isinstance(seen.made, WeightsError):
            raise seen.made
        flat = list(seen.given)
        for place, value in zip(seen.places, given, strict=True):
            flat[place] = self.builder.as_argument(value)
        args, kwargs = jax.tree.unflatten(seen.tree, flat)
        shapes = [self.builder.shape(x.aval) for x in outvars]
        return self.builder.call(seen.made, seen.path, args, kwargs, shapes)


_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def _live(program: core.Jaxpr) -> Iterator[Any]:
    """Yield the equations on which the outputs depend."""
    needed = {x for x in program.outvars if not isinstance(x, core.Literal)}
    kept = []
    for equation in reversed(program.eqns):
        if any(x in needed for x in equation.outvars):
            needed |= {x for x in equation.invars if not isinstance(x, core.Literal)}
            kept.append(equation)
    yield from reversed(kept)


def _with_any_batch(inputs: tuple) -> tuple[tuple, Any]:
    """Return the shapes of inputs for a symbolic batch size, and that size."""
    (batch,) = export.symbolic_shape("batch")

    def shaped(x: Any) -> jax.ShapeDtypeStruct:
        if np.ndim(x) == 0 and not getattr(x, "shape", ()):
            raise WeightsError("an input is a scalar, without a batch axis")
        return with_rows(x, batch)

    return jax.tree.map(shaped, inputs), batch


def _input_names(model: linen.Module, inputs: tuple) -> list[str]:
    """Name all inputs after their arguments, or after keys of dictionaries."""
    names = [
        parameter.name
        for parameter in inspect.signature(model.__call__).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    found = []
    for number, tree in enumerate(inputs):
        name = names[number] if number < len(names) else f"input{number}"
        for path, _ in jax.tree_util.tree_leaves_with_path(tree):
            inner = jax.tree_util.keystr(path, simple=True, separator="_")
            is_key = path and isinstance(path[-1], jax.tree_util.DictKey)
            short = str(path[-1].key) if is_key else f"{name}_{inner}"
            full = name if not inner else short
            found.append(f"{name}_{inner}" if full in found else full)
    return found
