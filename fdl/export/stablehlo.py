"""StableHLO: a function and its parameters in a file that JAX calls without fdl.

The file is what `jax.export` serializes. A zip archive with one text, `fdl.json`,
follows it: readers of zip archives begin at the end of a file, and JAX ignores what
comes after the function. `unzip -p FILE fdl.json` prints the text.
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
_LONGEST = 1 << 24  # bytes of the text


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFunction:
    """A function from a `.stablehlo` file, as `fdl.load` gives it back.

    Attributes:
        path: The file.
        facts: What the file says about its model; None if nothing was said.
        exported: The function; `exported.call` takes the arrays of a whole batch, and
            before them the parameters if they are beside the file.
        parameters: Parameters by name, from the file beside it; None if they are
            inside.
    """

    path: Path
    facts: Facts | None
    exported: export.Exported
    parameters: dict[str, Array] | None

    @property
    def predicts(self) -> Predicts:
        """What it answers to each input."""
        return "nothing" if self.facts is None else self.facts.predicts

    @property
    def info(self) -> DatasetInfo:
        """What the data were that its model was trained on.

        Raises:
            ExportError: If the file does not say.
        """
        if self.facts is None:
            raise ExportError(f"{self.path} does not say what it was trained on.")
        return self.facts.info

    def predict(self, inputs: PyTree, *, batch_size: int = 500) -> PyTree:
        """Return what the function answers to each input, as `fdl.predict` does.

        Args:
            inputs: Inputs with a common first axis; a tuple if the function takes
                several arguments.
            batch_size: Number of inputs at a time.

        Raises:
            DataError: If the inputs are empty, ragged or not finite, or of another
                shape or type than the function takes.
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
        """The function of the inputs of a batch, compiled once for each size."""
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
        function: A pure function of arrays whose first axis counts inputs, such as
            `lambda images: learner.predict(state, images)`. Arrays that it closes over
            are written into the file.
        *inputs: Its arguments, of which only shapes and types are used.
        parameters: Arrays by name to write beside the file, as `.safetensors`; the
            function takes them as its first argument. None to keep all inside.
        facts: What to say about the model.

    Raises:
        ExportError: If the answer has no axis that counts inputs, or the function
            cannot be written, for example because it calls back into Python.

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
            f"{path} cannot be written, since the model cannot be compiled for a batch "
            f"of any size on {', '.join(PLATFORMS)}: {_first_line(error)}"
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
        ExportError: If the file is missing, damaged, or was not written by fdl, or its
            parameters are not beside it.
    """
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist or is not a file.")
    try:
        text, content = _split(path)
        said = parse_json(text)
        inside = {"inside": True, "beside": False}[said["parameters"]]
        facts = None if said["facts"] is None else facts_of(said["facts"])
        same = said["sha256"] == hashlib.sha256(content).hexdigest()
    except (*_DAMAGE, ValueError, LookupError, TypeError) as error:
        raise ExportError(
            f"{path} is damaged, or fdl did not write it: {reason(error)}"
        ) from error
    if not same:
        raise ExportError(f"{path} is damaged: its checksum is another; export again.")
    try:
        exported = export.deserialize(bytearray(content))
    except Exception as error:  # JAX promises nothing about what it raises
        raise ExportError(
            f"{path} cannot be read by JAX {jax.__version__}: {reason(error)}"
        ) from error
    return ExportedFunction(
        path, facts, exported, None if inside else _read_parameters(path, exported)
    )


def beside(path: Path) -> Path:
    """Return the file of the parameters that are not in a `.stablehlo` file."""
    return path.with_suffix(".safetensors")


_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)


def _split(path: Path) -> tuple[bytes, bytes]:
    """Return the text of a file, and the function before it."""
    with opened_zip(path) as archive:
        (entry,) = archive.infolist()
        if entry.filename != _TEXT:
            raise ValueError(f"it ends with {shortened(entry.filename)!r}.")
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
            f"{path} takes its parameters from a file of the same export: {error}"
        ) from error
    return jax.device_put(found)


def _batch_axis(exported: export.Exported) -> int:
    """Return the axis of the answers that counts inputs."""
    axes = {
        next((i for i, n in enumerate(x.shape) if not isinstance(n, int)), None)
        for x in exported.out_avals
    }
    if len(axes) != 1 or None in axes:
        raise ExportError(
            f"the function answers {_described(exported.out_avals)}: one axis, at the "
            "same place of all arrays, must count the inputs."
        )
    (axis,) = axes
    return axis  # type: ignore[return-value]


def _arguments(inputs: PyTree) -> tuple[PyTree, ...]:
    return tuple(inputs) if isinstance(inputs, tuple) else (inputs,)


def _plain(answer: PyTree) -> PyTree:
    """Return an answer with dictionaries for named tuples, which other code lacks."""
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
