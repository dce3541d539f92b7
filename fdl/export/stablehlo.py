"""Write and read StableHLO: a function that JAX can call from a file, without fdl.

The file starts with the function as `jax.export` serializes it, followed by a zip
archive with one member, `fdl.json`: zip readers start at the end of a file, and JAX
ignores what follows the function. `unzip -p FILE fdl.json` prints the metadata.
"""

import dataclasses
import functools
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from fdl.arrays import Array, DataError, PyTree
from fdl.data import DatasetInfo, check
from fdl.export.errors import ExportError
from fdl.export.facts import Facts, facts_of
from fdl.export.safetensors import write_safetensors
from fdl.files import write_whole
from fdl.plain import Predicts
from fdl.train.evaluate import in_batches
from fdl.untrusted import opened_zip, parse_json, reason, shortened, unpack
from fdl.weights import (
    WeightsError,
    read_safetensors,
    require_finite,
    require_same_arrays,
)

PLATFORMS = ("cpu", "cuda", "tpu")

_TEXT = "fdl.json"
_LONGEST = 1 << 24  # bytes of fdl.json


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFunction:
    """A function from a `.stablehlo` file, as `fdl.load` returns it.

    Attributes:
        path: The file.
        facts: Metadata of the model; None if the file has none.
        exported: The function. `exported.call` takes the parameters, if they are in
            their own file, and then the arrays of a batch.
        parameters: Parameters by name, if they are in their own file; otherwise None.
    """

    path: Path
    facts: Facts | None
    exported: export.Exported
    parameters: dict[str, Array] | None

    @property
    def predicts(self) -> Predicts:
        """What the model predicts for each input; "nothing" if there are no facts."""
        return "nothing" if self.facts is None else self.facts.predicts

    @property
    def info(self) -> DatasetInfo:
        """Description of the data that the model was trained on.

        Raises:
            ExportError: If the file has no facts.
        """
        if self.facts is None:
            raise ExportError(f"{self.path} does not say what it was trained on.")
        return self.facts.info

    def predict(self, inputs: PyTree, *, batch_size: int = 500) -> PyTree:
        """Return the outputs of the function for each input, as `fdl.predict` does.

        Args:
            inputs: Inputs with a common first axis; a tuple if the function takes
                several arguments.
            batch_size: Number of inputs per call of the function.

        Raises:
            DataError: If the inputs are empty, ragged or not finite, or do not have
                the shapes and types of the function's arguments.
            ValueError: If `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1.")
        check(inputs)
        self._require(inputs)
        axis = _batch_axis(self.exported)
        return in_batches(self._call, inputs, batch_size, axis=axis)

    @functools.cached_property
    def _call(self) -> Callable[[PyTree], PyTree]:
        """The function of a batch of inputs, compiled once for each batch size."""
        first = () if self.parameters is None else (self.parameters,)
        compiled = jax.jit(self.exported.call)
        return lambda inputs: compiled(*first, *_arguments(inputs))

    def _require(self, inputs: PyTree) -> None:
        wanted, _ = jax.tree.unflatten(self.exported.in_tree, self.exported.in_avals)
        wanted = wanted if self.parameters is None else wanted[1:]
        given = _arguments(inputs)
        kind = lambda x: (x.shape[1:], jax.dtypes.canonicalize_dtype(x.dtype))
        if jax.tree.map(kind, wanted) != jax.tree.map(kind, given):
            raise DataError(
                f"{self.path} takes {_described(wanted)}, not {_described(given)}."
            )


def write_stablehlo(
    path: Path | str,
    function: Callable[..., PyTree],
    *inputs: PyTree,
    parameters: Mapping[str, Array] | None = None,
    facts: Facts | None = None,
) -> None:
    """Write a function for batches of any size, for CPU, CUDA and TPU.

    Args:
        path: The file.
        function: A pure function of arrays whose first axis is the batch axis, such as
            `lambda images: learner.predict(state, images)`. Arrays that it closes over
            are written into the file.
        *inputs: Example arguments, of which only shapes and types are used.
        parameters: Arrays by name to write to a `.safetensors` file of the same name;
            the function takes them as its first argument. None to write a single file.
        facts: Metadata to store in the file.

    Raises:
        ExportError: If the outputs have no common batch axis, or the function cannot
            be exported, for example because it calls back into Python.

    Example:
        >>> import tempfile
        >>> weights = np.float32([[1], [2]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/line.stablehlo"
        ...     write_stablehlo(path, lambda x: x @ weights, np.zeros((1, 2), "f4"))
        ...     read_stablehlo(path).predict(np.ones((3, 2), "f4")).shape
        (3, 1)
    """
    path = Path(path)
    arguments = export.symbolic_args_specs(inputs, "batch, ...")
    named = None if parameters is None else dict(parameters)
    first = () if named is None else (named,)
    plain = jax.jit(lambda *arguments: _plain(function(*arguments)))
    try:
        exported = export.export(plain, platforms=PLATFORMS)(*first, *arguments)
        content = bytes(exported.serialize())
    except Exception as error:  # a model may raise anything
        raise ExportError(
            f"{path} cannot be written: the model cannot be compiled for a batch of "
            f"any size on {', '.join(PLATFORMS)}: {_first_line(error)}"
        ) from error
    _batch_axis(exported)
    text = {
        "facts": None if facts is None else facts.to_json(),
        "parameters": "inside" if named is None else "beside",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_TEXT), json.dumps(text, indent=2))
    if named is not None:
        write_safetensors(beside(path), named, facts)
    write_whole(path, buffer.getvalue())


def read_stablehlo(path: Path | str) -> ExportedFunction:
    """Return the function in a file that `write_stablehlo` wrote.

    Raises:
        ExportError: If the file is missing, damaged or was not written by fdl, or the
            file of its parameters is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist or is not a file.")
    try:
        text, content = _split(path)
        metadata = parse_json(text)
        inside = {"inside": True, "beside": False}[metadata["parameters"]]
        facts = None if metadata["facts"] is None else facts_of(metadata["facts"])
        same = metadata["sha256"] == hashlib.sha256(content).hexdigest()
    except (*_DAMAGE, ValueError, LookupError, TypeError) as error:
        raise ExportError(
            f"{path} is damaged, or was not written by fdl: {reason(error)}."
        ) from error
    if not same:
        raise ExportError(
            f"{path} is damaged: its checksum does not match. Export it again."
        )
    try:
        exported = export.deserialize(bytearray(content))
    except Exception as error:  # JAX does not document what it raises
        raise ExportError(
            f"{path} cannot be read by JAX {jax.__version__}: {reason(error)}."
        ) from error
    return ExportedFunction(
        path, facts, exported, None if inside else _read_parameters(path, exported)
    )


def beside(path: Path) -> Path:
    """Return the path of the parameters that belong to a `.stablehlo` file."""
    return path.with_suffix(".safetensors")


_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)


def _split(path: Path) -> tuple[bytes, bytes]:
    """Return the metadata of a file, and the serialized function before it."""
    with opened_zip(path) as archive:
        (entry,) = archive.infolist()
        if entry.filename != _TEXT:
            raise ValueError(f"it ends with {shortened(entry.filename)!r}")
        text = unpack(archive, entry, _LONGEST)
    with path.open("rb") as file:
        return text, file.read(entry.header_offset)


def _read_parameters(path: Path, exported: export.Exported) -> dict[str, Array]:
    file = beside(path)
    arguments, _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    wanted = arguments[0] if arguments else None
    if not isinstance(wanted, dict):
        raise ExportError(f"{path} is damaged: its function takes no parameters.")
    try:
        found = read_safetensors(
            file, lambda arrays: require_same_arrays(arrays, wanted, file)
        )
        require_finite(found, file)
    except WeightsError as error:
        raise ExportError(
            f"{path} needs the file of parameters from the same export: {error}"
        ) from error
    return jax.device_put(found)


def _batch_axis(exported: export.Exported) -> int:
    """Return the batch axis of the outputs."""
    axes = {
        next((i for i, n in enumerate(x.shape) if not isinstance(n, int)), None)
        for x in exported.out_avals
    }
    if len(axes) != 1 or None in axes:
        raise ExportError(
            f"the function returns {_described(exported.out_avals)}; all arrays must "
            "have one batch axis, at the same position."
        )
    (axis,) = axes
    return axis  # type: ignore[return-value]


def _arguments(inputs: PyTree) -> tuple[PyTree, ...]:
    return tuple(inputs) if isinstance(inputs, tuple) else (inputs,)


def _plain(answer: PyTree) -> PyTree:
    """Replace named tuples by dictionaries, since other programs lack their classes."""
    named = lambda x: hasattr(x, "_asdict")
    if named(answer):
        answer = answer._asdict()
    if isinstance(answer, dict):
        return {name: _plain(value) for name, value in answer.items()}
    if isinstance(answer, (tuple, list)):
        return type(answer)(map(_plain, answer))
    return answer


def _described(tree: PyTree) -> str:
    leaves = jax.tree.leaves(tree)
    return ", ".join(
        f"{x.dtype}[{', '.join(map(str, x.shape))}]" for x in map(_array, leaves)
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0]


def _array(x: Any) -> Any:
    return x if hasattr(x, "dtype") else np.asarray(x)
