"""Arrays in `.npy` and `.npz` files, read without allocating more than they fill."""

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from fdl.arrays import DataError
from fdl.untrusted import opened_zip, reason, shortened, unpack

STARTS = (b"\x93NUMPY", b"PK")
"""First bytes of .npy and .npz files."""

_MIB = 1 << 20
_KINDS = "buifcUS"  # numbers and texts
_READERS = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file by name, or that of an `.npy` file as `""`.

    They are read-only and in native byte order. Objects are not unpickled.

    Raises:
        DataError: If the file cannot be read, is damaged, holds anything but arrays of
            numbers and texts, or unpacks to more than the limit: 256 MiB, or 100 times
            its size up to 768 MiB, or 10 times its size.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "two.npz"
        ...     np.savez(file, x=np.zeros(3), y=np.ones((2, 2), "u1"))
        ...     {name: array.shape for name, array in read_arrays(file).items()}
        {'x': (3,), 'y': (2, 2)}
    """
    with _faults(path):
        with path.open("rb") as file:
            if not file.read(2).startswith(b"PK"):
                file.seek(0)
                return {"": _array(file, path.stat().st_size)}
        return _unpacked(path)


def _unpacked(path: Path) -> dict[str, np.ndarray]:
    size = path.stat().st_size
    left = max(256 * _MIB, min(100 * size, 768 * _MIB), 10 * size)
    arrays = {}
    with opened_zip(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise ValueError(
                    f"{shortened(member.filename)!r} in it is not an array, or occurs "
                    "twice"
                )
            content = unpack(archive, member, left)
            left -= len(content)
            arrays[name] = _array(io.BytesIO(content), len(content))
    return arrays


def _array(file: io.BufferedIOBase, size: int) -> np.ndarray:
    """Return the array of a file with the given number of bytes."""
    version = npy.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"its version {version} of the format is not supported")
    shape, fortran_order, dtype = _READERS[version](file)
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise ValueError(f"its elements are {dtype}; only numbers and texts are read")
    count = math.prod(shape)
    if any(side < 0 for side in shape) or count * dtype.itemsize > size - file.tell():
        raise ValueError(
            f"it declares {dtype}{list(shape)}, but holds {size - file.tell():,} bytes"
        )
    content = file.read(count * dtype.itemsize)
    order = "F" if fortran_order else "C"
    array = np.frombuffer(content, dtype).reshape(shape, order=order)
    array = array.astype(dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # A damaged file fails in many ways, all of which mean the same.
        raise DataError(
            f"{path} cannot be read as NumPy arrays of numbers or texts: "
            f"{reason(error)}."
        ) from error
