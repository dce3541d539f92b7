"""The error, descriptions and checks shared by all formats of weights."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdl.untrusted import reason

_MOST_HEADER = 1 << 23  # bytes; an array takes about 100
_TYPES = {
    "BF16": "bfloat16",
    "BOOL": "bool",
    **{
        f"{kind[0].upper()}{bits}": f"{kind}{bits}"
        for kind in ("float", "int", "uint")
        for bits in (8, 16, 32, 64)
    },
}


class WeightsError(ValueError):
    """A file of weights is damaged, or its weights do not fit the model."""


class Declared(NamedTuple):
    """Dtype and shape of an array in a file, before it is read."""

    dtype: str
    shape: tuple[int, ...]


def describe(array: Any) -> str:
    """Return the dtype and shape of an array, for messages.

    Example:
        >>> describe(np.zeros((3, 2), np.float32))
        'float32[3, 2]'
    """
    return f"{array.dtype}{list(array.shape)}"


def declared_arrays(path: Path | str) -> dict[str, Declared]:
    """Return dtypes and shapes from a safetensors file, without reading the arrays.

    Raises:
        WeightsError: If the file cannot be read.
    """
    with opened_safetensors(path) as file:
        return _all_declared(file)


def read_safetensors(
    path: Path | str,
    require: Callable[[Mapping[str, Declared]], None],
    only: str | None = None,
) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file.

    Args:
        path: The file.
        require: Raises an error unless the arrays are the expected ones. It is called
            before any is read, since a file may declare any size.
        only: Name of the only array to read; None for all.

    Raises:
        WeightsError: If the file cannot be read.
    """
    with opened_safetensors(path) as file:
        return read_opened(file, require, only)


def read_opened(
    file: Any,
    require: Callable[[Mapping[str, Declared]], None],
    only: str | None = None,
) -> dict[str, np.ndarray]:
    """Return the arrays of an open safetensors file; see `read_safetensors`."""
    require(_all_declared(file))
    names = list(file.keys()) if only is None else [only]
    return {name: file.get_tensor(name) for name in names}


def _all_declared(file: Any) -> dict[str, Declared]:
    return {name: _declared(file.get_slice(name)) for name in list(file.keys())}


def _declared(array: Any) -> Declared:
    kind = str(array.get_dtype())
    return Declared(_TYPES.get(kind, kind), tuple(array.get_shape()))


@contextlib.contextmanager
def opened_safetensors(path: Path | str) -> Iterator[Any]:
    """Open a safetensors file, with a limit on its list of arrays.

    Raises:
        WeightsError: If the file cannot be read, here or within the context.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER:
            raise ValueError(
                f"its list of arrays has {length:,} bytes, more than {_MOST_HEADER:,}"
            )
        with safe_open(path, framework="numpy") as arrays:
            yield arrays
    except WeightsError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read as safetensors: {reason(error)}."
        ) from error


def require_same_arrays(
    found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path | str
) -> None:
    """Raise WeightsError unless arrays match in name, shape and dtype.

    Args:
        found: Arrays of a file, by name.
        wanted: Arrays that a model needs, by name.
        path: The file.
    """
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise WeightsError(f"{path} lacks {name}, {describe(wanted[name])}.")
        if name not in wanted:
            raise WeightsError(
                f"{path} contains {name}, which the model does not have."
            )
        if describe(found[name]) != describe(wanted[name]):
            raise WeightsError(
                f"{path} has {name} as {describe(found[name])}, but the model needs "
                f"{describe(wanted[name])}."
            )


def require_finite(arrays: Mapping[str, Any], path: Path | str) -> None:
    """Raise WeightsError if an array has a value that is NaN or infinite.

    Example:
        >>> require_finite({"bias": np.array([0.0, np.nan])}, "a.keras")
        Traceback (most recent call last):
        ...
        fdl.weights.WeightsError: a.keras has NaN or infinity among the 2 values...
    """
    for name, array in arrays.items():
        if not np.isfinite(np.asarray(array)).all():
            raise WeightsError(
                f"{path} has NaN or infinity among the {np.size(array):,} values of "
                f"{name}, and cannot predict anything: train it again."
            )
