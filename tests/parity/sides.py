"""A function in fdl and in Keras, both with the same interface."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fdl import keras as fk
from fdl.losses import cross_entropy
from lazily import keras, tf
from zoo import Epoch, draw_variables


class Subject(NamedTuple):
    """A function in fdl and in Keras.

    Attributes:
        name: Its name in reports.
        model: A Linen module, called as `model(*inputs)`, with `train` if it takes it.
            None for the import of the twin by `import_model`, with the twin's weights.
        twin: Builds the Keras model, in the precision that Keras is set to.
        inputs: A batch for each argument.
        classes: The number of classes, for cross entropy with random labels; None for
            the squared distance to random outputs.
        epoch: Yields batches `(inputs, target)` of an epoch for level 4, where the
            target is labels or an array for each output; None if there is no such
            level.
        precisions: The precisions that Keras on TensorFlow computes it in.
        levels: The levels to compare; None for all.
        single: The highest level in single precision.
        deep: Whether it has a hundred layers or more, through which rounding grows.
    """

    name: str
    model: Any
    twin: Callable[[], Any]
    inputs: tuple[np.ndarray, ...]
    classes: int | None = None
    epoch: Callable[[], Epoch] | None = None
    precisions: tuple[str, ...] = ("float32", "float64")
    levels: Sequence[int] | None = None
    single: int = 4
    deep: bool = False


class Gradients(NamedTuple):
    """A loss with its gradients, the outputs and the new batch statistics."""

    loss: Any
    outputs: list[Any]
    params: Any
    inputs: list[Any]
    batch_stats: Any


class Ours:
    """The side of fdl: stateless, weights are passed and returned."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.takes_train = "train" in inspect.signature(self.model.__call__).parameters
        self.outputs = jax.jit(self._outputs)
        self.gradients = jax.jit(self._gradients)

    def _outputs(self, variables: Any, inputs: Any) -> list[Any]:
        return jax.tree.leaves(self.model.apply(variables, *inputs))

    def _gradients(self, variables: Any, inputs: Any, target: Any) -> Gradients:
        def loss_of(params: Any, floats: list[Any]) -> Any:
            outputs, updated = self.model.apply(
                {**variables, "params": params},
                *_with_floats(inputs, floats),
                **({"train": True} if self.takes_train else {}),
                mutable=["batch_stats"],
            )
            outputs = jax.tree.leaves(outputs)
            return _our_loss(outputs, target), (outputs, updated.get("batch_stats", {}))

        (loss, (outputs, batch_stats)), (params, floats) = jax.value_and_grad(
            loss_of, argnums=(0, 1), has_aux=True
        )(variables.get("params", {}), _floats(inputs))
        return Gradients(loss, outputs, params, floats, batch_stats)

    def trainer(self, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
        """Return `(variables, state, inputs, target) -> (variables, state, loss)`."""

        @jax.jit
        def update(grads: Any, state: Any, params: Any) -> Any:
            updates, state = optimizer.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        def step(variables: Any, state: Any, inputs: Any, target: Any) -> Any:
            params = variables["params"]
            state = optimizer.init(params) if state is None else state
            found = self.gradients(variables, inputs, target)
            params, state = update(found.params, state, params)
            new = {"params": params}
            if "batch_stats" in variables:
                new["batch_stats"] = found.batch_stats
            return new, state, found.loss

        return step


class Theirs:
    """The side of Keras on TensorFlow: the model holds its weights."""

    def __init__(self, subject: Subject) -> None:
        self.twin = subject.twin()
        self.model, self._paths = _read(subject.model, self.twin)
        # Tracing takes longer than one call, so only steps use the traced function.
        self._traced = tf.function(self.gradients, autograph=False)

    def outputs(self, inputs: Any, *, train: bool = False) -> list[Any]:
        one = inputs[0] if len(inputs) == 1 else list(inputs)
        return keras.tree.flatten(self.twin(one, training=train))

    def gradients(self, inputs: Any, target: Any) -> Gradients:
        floats = _floats(inputs)
        with tf.GradientTape() as tape:
            tape.watch(floats)
            outputs = self.outputs(_with_floats(inputs, floats), train=True)
            loss = _their_loss(outputs, target)
        weights = [weight.value for weight in self.twin.trainable_weights]
        params, floats = tape.gradient(
            loss, (weights, floats), unconnected_gradients="zero"
        )
        params = [
            tf.convert_to_tensor(grad) for grad in params
        ]  # also those of embeddings
        return Gradients(loss, outputs, params, floats, None)

    def trainer(self, optimizer: Any) -> Callable[[Any, Any], Any]:
        """Return `(inputs, target) -> loss`, which takes a step."""
        optimizer.build(self.twin.trainable_weights)
        apply = tf.function(optimizer.apply, autograph=False)

        def step(inputs: Any, target: Any) -> Any:
            found = self._traced(inputs, target)
            apply(found.params)
            return found.loss

        return step

    def set_weights(self, variables: Any) -> None:
        weights = {weight.path: weight for weight in self.twin.weights}
        paths, values = jax.tree.leaves(self._paths), jax.tree.leaves(variables)
        for path, value in zip(paths, values, strict=True):
            weights[path].assign(value)

    def variables(self) -> Any:
        """Return the weights as fdl's variables."""
        return self._arrange({w.path: w.numpy() for w in self.twin.weights})

    def arranged(self, values: list[Any]) -> Any:
        """Return values, one for each trainable weight, in the form of fdl's params."""
        paths = [weight.path for weight in self.twin.trainable_weights]
        found = dict(zip(paths, values, strict=True))
        others = {w.path: None for w in self.twin.non_trainable_weights}
        return self._arrange({**others, **found})["params"]

    def _arrange(self, values: dict[str, Any]) -> Any:
        return jax.tree.map(lambda path: values[path], self._paths)


def _read(model: Any, twin: Any) -> tuple[Any, Any]:
    """Return fdl's model, and the paths of Keras' weights in the form of its variables.

    To find them, the twin, or a stand-in, is filled with the numbers of its weights.
    """
    values = [np.full(weight.shape, i) for i, weight in enumerate(twin.weights)]
    if model is None:
        kept = twin.get_weights()
        twin.set_weights(values)
        model, numbers = fk.import_model(twin)
        twin.set_weights(kept)
    else:
        weights = [
            _Weight(weight.path, weight.shape, weight.dtype, value)
            for weight, value in zip(twin.weights, values, strict=True)
        ]
        numbers = fk.from_keras(model, _StandIn(weights, twin.inputs))
    return model, jax.tree.map(lambda x: twin.weights[int(x.flat[0])].path, numbers)


class _Weight(NamedTuple):
    path: str
    shape: tuple[int, ...]
    dtype: str
    value: np.ndarray

    def numpy(self) -> np.ndarray:
        return self.value


class _StandIn(NamedTuple):
    """The attributes of a Keras model that `from_keras` reads, with other values."""

    weights: list[_Weight]
    inputs: Any


@contextlib.contextmanager
def both(subject: Subject, precision: str) -> Iterator[tuple[Ours, Theirs, Any, Any]]:
    """Yield both sides with the same random weights, the weights, and the inputs."""
    assert keras.backend.backend() == "tensorflow"
    _set_precision(precision)
    try:
        with jax.enable_x64(precision == "float64"):
            theirs = Theirs(subject)
            # The twin's weights are drawn for its depth.
            if subject.deep or subject.model is None:
                variables = theirs.variables()
            else:
                variables = draw_variables(theirs.model, *subject.inputs)
            variables = cast(variables, precision)
            if subject.model is not None:
                fk.to_keras(variables, theirs.twin, model=subject.model)
            yield Ours(theirs.model), theirs, variables, cast(subject.inputs, precision)
    finally:
        _set_precision("float32")


def cast(tree: Any, precision: str) -> Any:
    """Return a tree with its floating-point arrays cast to a precision."""
    return jax.tree.map(lambda x: x.astype(precision) if _is_float(x) else x, tree)


def _set_precision(precision: str) -> None:
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)  # else it stays at the first floatx


def _our_loss(outputs: list[Any], target: Any) -> Any:
    if not isinstance(target, list):
        return cross_entropy(outputs[0], target).mean()
    pairs = zip(outputs, target, strict=True)
    return sum(jnp.mean((output - wanted) ** 2) for output, wanted in pairs)


def _their_loss(outputs: list[Any], target: Any) -> Any:
    if not isinstance(target, list):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return loss(target, outputs[0])
    pairs = zip(outputs, target, strict=True)
    return sum(tf.reduce_mean((output - wanted) ** 2) for output, wanted in pairs)


def _is_float(x: Any) -> bool:
    kind = x.dtype.as_numpy_dtype if isinstance(x, tf.Tensor) else x.dtype
    return bool(jnp.issubdtype(kind, jnp.floating))


def _floats(inputs: Any) -> list[Any]:
    return [x for x in inputs if _is_float(x)]


def _with_floats(inputs: Any, floats: list[Any]) -> list[Any]:
    rest = iter(floats)
    return [next(rest) if _is_float(x) else x for x in inputs]
