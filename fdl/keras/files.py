"""Weights in files that Keras writes and reads, without Keras."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np

from fdl.arrays import PyTree
from fdl.keras import architectures, archive, hdf5, layers
from fdl.keras.layers import Layer
from fdl.keras.matching import match
from fdl.weights import WeightsError, write_whole

H5, KERAS = ".weights.h5", ".keras"


def load_weights(
    path: str | os.PathLike[str], model: nn.Module, *inputs: Any
) -> PyTree:
    """Variables of a Linen module from a file that Keras saved, bit for bit.

    Needs neither Keras nor TensorFlow, and runs nothing that is in the file. Layers are
    paired by name if each of the module's names is a name in the file (`stage1/conv` is
    called `stage1_conv` there), else by class, shapes and order. Keras writes names
    since release 3.6.

    Args:
        path: `.keras`, as of `keras_model.save`, or `.weights.h5`, as of
            `keras_model.save_weights`.
        model: The module.
        *inputs: Example inputs, of which only shapes and types are used. A `.keras`
            file says itself what they are.

    Returns:
        `{"params": ...}`, and `"batch_stats"` if the module has any, in numpy.

    Raises:
        WeightsError: If the file is missing, damaged, or not of such a model.

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
    suffix = _suffix(path)
    if not path.is_file():
        raise WeightsError(f"{path} is not there, or is not a file.")
    if suffix == H5 and not inputs:
        raise WeightsError(
            f"{path} does not say what the inputs of its model are: pass an example "
            "input."
        )
    with _opened(path, suffix, model, inputs) as (ours, file):
        return layers.variables_of(
            {
                slot.path: hdf5.read(stored, str(path))
                for our, their in match(
                    ours, hdf5.layers_in(file, str(path)), str(path)
                )
                for slot, stored in zip(our.arrays, their.arrays, strict=True)
            }
        )


def save_weights(
    path: str | os.PathLike[str], model: nn.Module, variables: PyTree, *inputs: Any
) -> None:
    """Write variables of a Linen module as a file that Keras loads.

    The file appears whole or not at all.

    Args:
        path: `.weights.h5`, for `load_weights` of the same model in Keras; or `.keras`,
            which holds the model too, for `keras.models.load_model`. Keras goes by the
            order of layers of a class in a `.weights.h5`, not by their names, and must
            define them in the order in which `model` does.
        model: The module; for `.keras`, one of `fdl.models` that Keras can describe.
        variables: Its variables, in float16, float32 or float64.
        *inputs: Example inputs, of which only shapes and types are used.

    Raises:
        WeightsError: If variables and model do not fit, or Keras has no such layers.

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
    if not inputs:
        raise WeightsError("Layers depend on the inputs: pass an example input.")
    ours = layers.of_module(model, inputs)
    arrays = layers.arrays_of(variables, ours)
    types = sorted({array.dtype.name for array in arrays.values()})
    unknown = set(types) - {"float16", "float32", "float64"}
    if unknown:
        raise WeightsError(
            f"Keras' files do not hold {unknown.pop()}: convert it first."
        )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        hdf5.write(file, ours, arrays)
    content = buffer.getvalue()
    if suffix == KERAS:
        if len(types) != 1 or len(inputs) != 1:
            raise WeightsError(
                f"A .keras file is written of one input and one type, not of "
                f"{len(inputs)} and {', '.join(types)}."
            )
        shape = np.shape(inputs[0])[1:]
        content = archive.make(
            content, architectures.sequential(model, shape, types[0])
        )
    write_whole(path, content)


@contextlib.contextmanager
def _opened(
    path: Path, suffix: str, model: nn.Module, inputs: Sequence[Any]
) -> Iterator[tuple[list[Layer], Any]]:
    """Yield the layers of the model, and the HDF5 file."""
    if suffix == H5:
        ours = layers.of_module(model, inputs)
        with hdf5.opened(str(path), str(path)) as file:
            yield ours, file
        return
    if inputs:
        ours = layers.of_module(model, inputs)
    else:
        ours = layers.of_module_for(model, archive.read_inputs(path), str(path))
    sizes = [np.prod(s.shape, dtype=object) for o in ours for s in o.arrays]
    content = archive.read_weights(path, needed=8 * sum(sizes))
    with hdf5.opened(io.BytesIO(content), str(path)) as file:
        yield ours, file


def _suffix(path: Path) -> str:
    for suffix in (H5, KERAS):
        if path.name.endswith(suffix):
            return suffix
    raise WeightsError(f"{path} is neither a {H5} nor a {KERAS} file, by its name.")
