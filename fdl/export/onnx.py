"""Write chains of Keras layers as ONNX, for other runtimes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fdl.export.errors import ExportError
from fdl.export.facts import Facts
from fdl.export.scaling import Scaling, scaling_of
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
    preprocess: Callable[[Any], Any] | None = None,
    last: Literal["softmax", "sigmoid"] | None = None,
    expected: Callable[[np.ndarray], Any] | None = None,
    rescale: Scaling | None = None,
    facts: Facts | None = None,
) -> None:
    """Write a model as ONNX, for batches of any size, after checking its outputs.

    Before the file is written, onnxruntime runs it on random inputs; its outputs must
    match those of JAX.

    Args:
        path: The file.
        model: A Linen module that is a chain of layers that Keras has.
        variables: Variables of the module.
        inputs: Example inputs of the model, of which only the shape is used.
        given: Example inputs of the file, which reshapes them to those of the model.
            None for the model's own inputs.
        preprocess: Function that turns inputs of the file into those of the model, by
            scaling channels. None to pass them on unchanged.
        last: Activation applied to the model's outputs; None for none.
        expected: Function of the file's inputs that returns the outputs to check
            against; None to apply the model.
        rescale: Scaling of the outputs to undo, such as to the units of a table.
        facts: Metadata to store in the file.

    Raises:
        ExportError: If onnx or onnxruntime is not installed, the model is not a chain
            of supported layers, or the outputs differ by more than 1e-5.

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
        from fdl.export.onnx_layers import add
    except ImportError as error:
        raise ExportError(
            f"{path} needs {error.name}, which is not installed: pip install "
            "'fdl[onnx]'."
        ) from error
    try:
        described, groups = describe(model, variables, (inputs,))
    except WeightsError as error:
        raise ExportError(
            f"{path} cannot hold a {type(model).__name__}: {error} Write a "
            ".stablehlo, which holds any model."
        ) from error
    given = inputs if given is None else given
    scaling = scaling_of(preprocess, given) if preprocess else None
    graph = Graph(given, inputs.shape[1:], scaling)
    for layer, arrays in _chain(path, described, groups):
        add(graph, layer, arrays)
    content = graph.finish(last, facts, rescale)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _require_same(
        path,
        session,
        _random(given, scaling),
        expected or (lambda x: model.apply(variables, x)),
    )
    write_whole(path, content)


def _chain(
    path: Path, described: Described, groups: list[Group], inside: str = ""
) -> Iterator[tuple[Layer, list[np.ndarray]]]:
    """Yield the layers of a chain and of the chains nested in it, with their arrays.

    Arrays are in groups whose names begin with `inside`.
    """
    from fdl.export.onnx_layers import LAYERS

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
        home = f"{inside}layers/{keys[call.layer]}"
        if is_next and layer.graph is not None:
            yield from _chain(path, layer.graph, groups, f"{home}/")
            continue
        if not is_next or layer.kind not in LAYERS:
            why = (
                "its class is not supported"
                if is_next
                else "layers are written one after another, but this one does not take "
                "the output of the layer before it alone"
            )
            raise ExportError(
                f"{path} cannot hold the layer {layer}: {why}. Write a .stablehlo, "
                "which holds any model."
            )
        yield (
            layer,
            [
                np.asarray(array, np.float32)
                for group in groups
                if group.place == home or group.place.startswith(f"{home}/")
                for array in group.arrays
            ],
        )


def _random(like: np.ndarray, scaling: Scaling | None) -> np.ndarray:
    """Return random inputs of the file's shape, type and scale."""
    rng, shape = np.random.default_rng(0), (3, *like.shape[1:])
    if like.dtype == np.uint8:
        x = rng.integers(0, 256, shape)
    elif scaling is not None:
        x = scaling.mean + scaling.deviation * rng.normal(size=shape)
    else:
        x = rng.random(shape)
    return x.astype(like.dtype)


def _require_same(
    path: Path, session: Any, x: np.ndarray, expected: Callable[[np.ndarray], Any]
) -> None:
    """Raise ExportError unless the outputs of onnxruntime and JAX agree."""
    ours = np.asarray(expected(x))
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    scale = max(1.0, float(np.abs(ours).max()))
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > _TOLERANCE * scale:
        raise ExportError(
            f"{path} would not give the outputs of the run: its task processes inputs "
            "or outputs in a way that ONNX export does not support. Write a "
            ".stablehlo, which holds any function, or a part (--part)."
        )
