"""Read and write the weights of Keras files, without Keras."""

import contextlib
import io
import math
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import flax.linen as nn
import jax
import numpy as np

from fdl.arrays import PyTree, is_matched
from fdl.files import write_whole
from fdl.keras import archive, hdf5, layers
from fdl.keras.graph.arrays import paired, slots_of
from fdl.keras.graph.description import Graph
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.save import described
from fdl.keras.graph.write import config_of
from fdl.keras.layers import Layer
from fdl.keras.matching import match
from fdl.keras.published import Summed, adapted, variant
from fdl.weights import WeightsError as WeightsError

H5, KERAS = ".weights.h5", ".keras"


def load_weights(
    path: str | os.PathLike[str],
    model: nn.Module,
    *inputs: Any,
    only: Sequence[str] | None = None,
) -> PyTree:
    """Load the variables of a Linen module from a file that Keras saved, bit for bit.

    This needs neither Keras nor TensorFlow, and executes nothing in the file. Layers
    are paired by name if the file contains every name in the module (`stage1_conv` for
    `stage1/conv`), and otherwise by class, shapes and order. Keras writes names since
    release 3.6.

    If the module takes grayscale images and the file is for color images, the three
    channels of the first kernel are summed to one, with a warning.

    Args:
        path: A `.keras` file from `keras_model.save`, a `.weights.h5` file from
            `keras_model.save_weights`, or a `.h5` file with weights alone, as Keras
            publishes them for the models of `keras.applications`.
        model: The module.
        *inputs: Example inputs, of which only shapes and types are used. Not needed for
            a `.keras` file, which describes its inputs, nor for a model from
            `import_model`.
        only: Names or patterns of the modules to load, as for `fdl.learners.frozen`,
            such as `fdl.models.backbone_layers(model, image)`. The file may lack the
            rest, which is the head, or have a different one. None to load all.

    Returns:
        `{"params": ...}`, with `"batch_stats"` if the module has any, as NumPy arrays.

    Raises:
        WeightsError: If the file is missing or damaged, or does not fit the model.

    Example:
        >>> import jax, tempfile
        >>> from fdl.models import MLP
        >>> image, model = np.zeros((1, 28, 28, 1)), MLP(10)
        >>> variables = model.init(jax.random.key(0), image)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(f"{folder}/mlp.keras", model, variables, image)
        ...     loaded = load_weights(f"{folder}/mlp.keras", model)
        >>> loaded["params"]["head"]["kernel"].shape
        (128, 10)
    """
    path = Path(path)
    # Files that Keras publishes end with .h5 alone.
    suffix = H5 if path.suffix == ".h5" else _suffix(path)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist or is not a file.")
    if isinstance(model, KerasModel):
        if only is not None:
            raise WeightsError(
                f"only={list(only)} cannot be used with a model from import_model."
            )
        return _load_imported(path, suffix, model)
    if suffix == H5 and not inputs:
        raise WeightsError(
            f"{path} does not describe the inputs of its model: pass an example input."
        )
    with _opened(path, suffix, model, inputs) as (ours, file):
        head = None
        if only is not None:
            ours, head = _divided(ours, only, path)
        theirs = adapted(ours, hdf5.layers_in(file, str(path)))
        try:
            pairs = match(ours, theirs, str(path), head)
        except WeightsError as error:
            raise WeightsError(f"{error} {variant(ours, theirs)}".rstrip()) from error
        for _, their in pairs:
            if isinstance(their.arrays[0], Summed):
                warnings.warn(
                    f"{path}: the three channels of {their.name!r} are summed to one, "
                    "since the model takes grayscale images.",
                    stacklevel=2,
                )
        return layers.variables_of(
            {
                slot.path: _read(file, stored, str(path))
                for our, their in pairs
                for slot, stored in zip(our.arrays, their.arrays, strict=True)
            }
        )


def save_weights(
    path: str | os.PathLike[str], model: nn.Module, variables: PyTree, *inputs: Any
) -> None:
    """Save the variables of a Linen module to a file that Keras can load.

    The file is written atomically.

    Args:
        path: A `.weights.h5` file, for `load_weights` of the same model in Keras; or a
            `.keras` file, which includes the model, for `keras.models.load_model`, and
            leaves out layers that only training uses, with a warning.
            Keras matches the layers of a `.weights.h5` by their order within each
            class, not by name, so it must define them in the same order as `model`.
        model: The module. For `.keras`, its layers must exist in Keras, and the
            operations between them in `keras.ops`; before the file is written, the
            Keras model is compared with the module on random inputs.
        variables: Variables of the module, in bfloat16, float16, float32 or float64.
        *inputs: Example inputs, batch first, of which only shapes and types are used.
            Not needed for a model from `import_model`.

    Raises:
        WeightsError: If the variables do not fit the model, or Keras does not have its
            layers.

    Example:
        >>> import jax, tempfile
        >>> x, model = np.zeros((1, 3)), nn.Dense(2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/dense.weights.h5"
        ...     save_weights(path, model, model.init(jax.random.key(0), x), x)
        ...     sorted(load_weights(path, model, x)["params"])
        ['bias', 'kernel']
    """
    import h5py

    path = Path(path)
    suffix = _suffix(path)
    types = sorted({np.asarray(leaf).dtype.name for leaf in jax.tree.leaves(variables)})
    unknown = set(types) - {"bfloat16", "float16", "float32", "float64"}
    if unknown:
        raise WeightsError(
            f"Keras files do not support {unknown.pop()}: convert the variables to "
            "float32 first."
        )
    graph: Graph | None = None
    if suffix == KERAS or isinstance(model, KerasModel):
        graph, groups = described(model, variables, inputs)
    elif not inputs:
        raise WeightsError(
            "the layers depend on the shapes of the inputs: pass an example input."
        )
    else:
        ours = layers.of_module(model, inputs)
        groups = hdf5.groups_of(ours, layers.arrays_of(variables, ours))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        hdf5.write(file, groups)
    content = buffer.getvalue()
    if suffix == KERAS and graph is not None:
        content = archive.make(content, config_of(graph))
    write_whole(path, content)


def _load_imported(path: Path, suffix: str, model: KerasModel) -> PyTree:
    slots = slots_of(model)
    count = sum(math.prod(slot.shape) for slot in slots)
    with _file(path, suffix, count) as file:
        stored = hdf5.groups_in(file, str(path))
        return layers.variables_of(
            {
                slot.path: hdf5.read(file, array, str(path))
                for slot, array in paired(slots, stored, str(path))
            }
        )


@contextlib.contextmanager
def _opened(
    path: Path, suffix: str, model: nn.Module, inputs: Sequence[Any]
) -> Iterator[tuple[list[Layer], BinaryIO]]:
    """Yield the layers of the model and the HDF5 file."""
    if suffix == H5 or inputs:
        ours = layers.of_module(model, inputs)
    else:
        ours = layers.of_module_for(model, archive.read_inputs(path), str(path))
    count = sum(math.prod(slot.shape) for our in ours for slot in our.arrays)
    with _file(path, suffix, count) as file:
        yield ours, file


@contextlib.contextmanager
def _file(path: Path, suffix: str, count: int) -> Iterator[BinaryIO]:
    """Yield the HDF5 file of a model with `count` weights."""
    if suffix == H5:
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        file.write(archive.read_weights(path, count=count))
        yield file


def _divided(
    layers: Sequence[Layer], only: Sequence[str], path: Path
) -> tuple[list[Layer], list[Layer]]:
    """Split layers into those that the patterns name, and the others."""
    named: list[Layer] = []
    others: list[Layer] = []
    for layer in layers:
        (named if is_matched("/".join(layer.names), only) else others).append(layer)
    if not named:
        raise WeightsError(
            f"{path}: only={list(only)} matches no layer of the model, which has "
            f"{', '.join(dict.fromkeys('/'.join(x.names[:1]) for x in layers))}."
        )
    return named, others


def _read(file: BinaryIO, stored: Any, where: str) -> np.ndarray:
    if isinstance(stored, Summed):
        return hdf5.read(file, stored.of, where).sum(axis=2, keepdims=True)
    return hdf5.read(file, stored, where)


def _suffix(path: Path) -> str:
    for suffix in (H5, KERAS):
        if path.name.endswith(suffix):
            return suffix
    raise WeightsError(f"{path} is neither a {H5} nor a {KERAS} file.")
