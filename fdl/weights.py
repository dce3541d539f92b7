"""The error, the descriptions and the checks shared by all formats of weights."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdl.untrusted import reason

_MOST_HEADER = 1 << 23  # bytes, of which an array takes about 100
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
    """An array in a file that has not been read yet.

    Attributes:
        dtype: Its type.
        shape: Its shape.
    """

    dtype: str
    shape: tuple[int, ...]


def describe(array: Any) -> str:
    """Return the type and shape of an array, for messages.

    Example:
        >>> describe(np.zeros((3, 2), np.float32))
        'float32[3, 2]'
    """
    return f"{array.dtype}{list(array.shape)}"


def declared_arrays(path: Path | str) -> dict[str, Declared]:
    """Return what a safetensors file says that its arrays are, without reading them.

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
        require: Raises an error unless the arrays are those that are wanted. It is
            called before any is read, since a file may declare any size.
        only: Name of the array that is wanted alone; None for all.

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
    """Return the arrays of a safetensors file that is open, see `read_safetensors`."""
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
    """Open a safetensors file whose list of arrays is not too long to be read.

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
            f"{path} cannot be read as safetensors: {reason(error)}"
        ) from error


def require_same_arrays(
    found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path | str
) -> None:
    """Raise WeightsError unless arrays have the names, shapes and types of others.

    Args:
        found: The arrays that there are, by name.
        wanted: Those that a model needs.
        path: Where they were found.
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
                f"{name}: they predict nothing; train it again."
            )
