"""ONNX: the models that fdl describes layer by layer, for other runtimes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fdl.export.errors import ExportError
from fdl.export.facts import Facts, Spread
from fdl.files import write_whole
from fdl.keras.graph.description import Call, Layer, Ref
from fdl.keras.graph.description import Graph as Described
from fdl.keras.graph.names import keys_in_file
from fdl.keras.graph.save import described as describe
from fdl.keras.hdf5 import Group
from fdl.weights import WeightsError

_TOLERANCE = 1e-5


def write_onnx(
    path: Path | str,
    model: Any,
    variables: Any,
    inputs: np.ndarray,
    *,
    given: np.ndarray | None = None,
    last: Literal["softmax", "sigmoid"] | None = None,
    expected: Callable[[np.ndarray], Any] | None = None,
    facts: Facts | None = None,
    spread: tuple[Spread | None, Spread | None] = (None, None),
) -> None:
    """Write a model, for batches of any size, and prove that it is the same.

    Before the file is written, onnxruntime computes what it answers to random inputs,
    which must be what JAX answers.

    Args:
        path: The file.
        model: A Linen module that is a chain of layers that Keras has.
        variables: Its variables.
        inputs: An example of what it reads, of which only the shape is used.
        given: An example of what the file is to read: 8-bit numbers are divided by 255,
            and all are brought into the shape of the model's inputs. None for the
            model's own inputs.
        last: What is done to the model's outputs.
        expected: What the file must answer; None for what the model does.
        facts: What to say about the model.
        spread: Of the numbers that the file is to read, and of those that it is to
            answer; None where they are what the model itself reads or gives.

    Raises:
        ExportError: If onnx or onnxruntime is not installed, the model is not among
            those that fdl describes, or the answers differ by more than 1e-5.

    Example:
        >>> import fdl, jax, tempfile
        >>> model, x = fdl.models.MLP(10), np.zeros((1, 28, 28, 1), np.float32)
        >>> variables = jax.jit(model.init)(jax.random.key(0), x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_onnx(f"{folder}/mlp.onnx", model, variables, x)
    """
    path = Path(path)
    try:
        import onnxruntime

        from fdl.export.onnx_graph import Graph
    except ImportError as error:
        raise ExportError(
            f"{path} needs {error.name}, which is not installed: pip install "
            "'fdl[onnx]'."
        ) from error
    try:
        described, groups = describe(model, variables, (inputs,))
    except WeightsError as error:
        raise ExportError(
            f"{path} cannot hold a {type(model).__name__}: {error}. Write a "
            ".stablehlo, which holds any model."
        ) from error
    given = inputs if given is None else given
    graph = Graph(given, inputs.shape[1:], spread[0])
    for layer, arrays in _in_turn(path, described, groups):
        graph.add(layer, arrays)
    content = graph.finish(last, facts, spread[1])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _require_same(
        path,
        session,
        _random(given, spread[0]),
        expected or (lambda x: model.apply(variables, x)),
    )
    write_whole(path, content)


def _in_turn(
    path: Path, described: Described, groups: list[Group]
) -> Iterator[tuple[Layer, list[np.ndarray]]]:
    """Yield the layers of a chain, each with its arrays."""
    from fdl.export.onnx_graph import LAYERS

    if described.outputs != Ref(len(described.calls) - 1, 0):
        raise ExportError(
            f"{path} cannot hold a model with several outputs, or with layers after "
            "its output. Write a .stablehlo, which holds any model."
        )
    keys = keys_in_file(described)
    for number, call in enumerate(described.calls):
        layer = described.layers[call.layer]
        if layer.kind == "InputLayer" and number == 0:
            continue
        is_next = call == Call(call.layer, (Ref(number - 1, 0),))
        if not is_next or layer.kind not in LAYERS:
            why = (
                "layers of its class are not written"
                if is_next
                else "layers are written one after another, and this one takes another "
                "output than that of the layer before it, or several"
            )
            raise ExportError(
                f"{path} cannot hold the layer {layer}: {why}. Write a .stablehlo, "
                "which holds any model."
            )
        home = f"layers/{keys[call.layer]}"
        yield (
            layer,
            [
                np.asarray(array, np.float32)
                for group in groups
                if group.place == home or group.place.startswith(f"{home}/")
                for array in group.arrays
            ],
        )


def _random(like: np.ndarray, spread: Spread | None) -> np.ndarray:
    """Return random inputs, such as the file is to read."""
    rng, shape = np.random.default_rng(0), (3, *like.shape[1:])
    if spread is not None:
        x = spread.mean + np.array(spread.deviation) * rng.normal(size=shape)
    elif like.dtype == np.uint8:
        x = rng.integers(0, 256, shape)
    else:
        x = rng.random(shape)
    return x.astype(like.dtype)


def _require_same(
    path: Path, session: Any, x: np.ndarray, expected: Callable[[np.ndarray], Any]
) -> None:
    """Raise an ExportError unless onnxruntime and JAX answer the same."""
    ours = np.asarray(expected(x))
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    scale = max(1.0, float(np.abs(ours).max()))
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > _TOLERANCE * scale:
        raise ExportError(
            f"{path} would answer otherwise than the run: its task prepares inputs, or "
            "answers, in a way that fdl does not describe. Write a .stablehlo, which "
            "holds any function, or a part (--part)."
        )
