"""HDF5 files of Keras weights, read as untrusted data.

A layer is a group that contains a group `vars` of arrays numbered from 0:
`layers/conv2d_1/vars/0`. Groups are named by class and number; the name of the layer is
an attribute of `vars`. Only the features that Keras uses are read: no links, no arrays
outside the file, no compression, and no array before its shape has been checked.

HDF5 files have no checksums, and the HDF5 library is not hardened against hostile
files. Faults that it reports become a `WeightsError`; others cannot be detected here.
"""

import contextlib
import io
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.keras.layers import KINDS, Layer, Path, parts
from fdl.weights import WeightsError, describe

MAX_DEPTH = 32
MAX_NODES = 100_000  # a ResNet-152 has 5,000

ROLES = {
    "query_dense": "query",
    "key_dense": "key",
    "value_dense": "value",
    "output_dense": "out",
    "forward_layer": "forward",
    "backward_layer": "backward",
}
GROUPS = {role: group for group, role in ROLES.items()}
HAVE_CELLS = ("simple_rnn", "lstm", "gru", "bidirectional")


class Stored(NamedTuple):
    """An array in a file that has not been read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype
    dataset: Any


class _Group(NamedTuple):
    path: Path  # keys from the root
    names: tuple[str | None, ...]  # name of the layer at each key, if it has one
    arrays: tuple[Stored, ...]


@contextlib.contextmanager
def faults(where: str) -> Iterator[None]:
    """Turn any exception of h5py, which are many on damaged files, into one."""
    try:
        yield
    except WeightsError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, LookupError) as error:
        raise WeightsError(f"{where} cannot be read as HDF5: {error}") from error


@contextlib.contextmanager
def opened(source: str | io.BytesIO, where: str) -> Iterator[Any]:
    """Open an HDF5 file for reading."""
    import h5py  # slow to import, and rarely needed

    with faults(where):
        file = h5py.File(source, "r")
    with file:
        yield file


def layers_in(file: Any, where: str) -> list[Layer]:
    """Return the layers of an open file that have arrays, without reading the arrays.

    Raises:
        WeightsError: If the file contains anything that Keras 3 does not write.
    """
    with faults(where):
        if "model_weights" in file or "layer_names" in file.attrs:
            raise WeightsError(
                f"{where} is in the format of Keras 2: load it in Keras and save it as "
                ".keras."
            )
        groups = list(_walk(file, where))
    in_cell = [group.path[-1:] == ("cell",) for group in groups]
    paths = [
        group.path[:-1] if cell else group.path
        for group, cell in zip(groups, in_cell, strict=True)
    ]
    whole = parts(paths, lambda piece: ROLES.get(piece, ""))
    return [
        Layer(
            names=tuple(name for name in group.names[: len(path)] if name is not None),
            role=role,
            # In other groups, keys are attribute names and do not tell the class.
            kind=_kind(path[-1]) if path[-2:-1] == ("layers",) else None,
            place=path,
            arrays=group.arrays,
        )
        for group, (path, role) in zip(groups, whole, strict=True)
    ]


def read(stored: Stored, where: str) -> np.ndarray:
    """Read an array of an open file, in native byte order."""
    with faults(where):
        found = np.asarray(stored.dataset[()])
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def write(
    file: Any, layers: Sequence[Layer], arrays: Mapping[Path, np.ndarray]
) -> None:
    """Write layers into an open, empty file, like Keras for a flat model."""
    file.create_group("vars")  # of the model itself; early releases require it
    homes: dict[Path, str] = {}
    numbers: Counter[str] = Counter()
    for layer in layers:
        kind = layer.kind
        if kind is None:
            raise WeightsError(f"Keras has no layer class for {layer}.")
        if layer.names not in homes:
            number = f"_{numbers[kind]}" if numbers[kind] else ""
            numbers[kind] += 1
            homes[layer.names] = f"layers/{kind}{number}"
            own = file.create_group(f"{homes[layer.names]}/vars")
            own.attrs["name"] = layer._replace(role="").name or kind
        steps = [homes[layer.names], GROUPS.get(layer.role)]
        steps += ["cell"] if kind in HAVE_CELLS else []
        group = file.require_group("/".join([*filter(None, steps), "vars"]))
        for number, slot in enumerate(layer.arrays):
            group[str(number)] = arrays[slot.path]


def _walk(file: Any, where: str) -> Iterator[_Group]:
    """Yield the groups that contain arrays."""
    import h5py

    nodes = 0
    rest: deque[tuple[Any, Path, tuple[str | None, ...]]] = deque([(file, (), ())])
    while rest:
        group, path, names = rest.popleft()
        for key in group:
            nodes += 1
            if len(path) > MAX_DEPTH or nodes > MAX_NODES:
                raise WeightsError(f"{where} has more groups or levels than any model.")
            if not path and key == "optimizer":
                continue
            child = _member(group, key, where)
            if not isinstance(child, h5py.Group):
                raise WeightsError(
                    f"{where} has an array at {child.name!r}, where none belongs."
                )
            if key != "vars":
                name = _name_of(child, where)
                rest.append((child, (*path, key), (*names, name)))
            elif len(child):
                yield _Group(path, names, tuple(_arrays(child, where)))


def _member(group: Any, key: str, where: str) -> Any:
    """Return a member of a group, unless it is a link to another place."""
    import h5py

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise WeightsError(
            f"{where} has a link at {group.name}/{key}, which is not followed."
        )
    return group[key]


def _name_of(group: Any, where: str) -> str | None:
    """Return the name of the layer of a group, or None if it has no name."""
    import h5py

    if "vars" not in group:
        return None
    own = _member(group, "vars", where)
    if "name" not in own.attrs:
        return None  # written before Keras 3.6
    attribute = own.attrs.get_id("name")
    if attribute.shape != () or h5py.check_string_dtype(attribute.dtype) is None:
        raise WeightsError(f"{where} has a name for {group.name!r} that is not text.")
    return str(own.attrs["name"])


def _arrays(group: Any, where: str) -> Iterator[Stored]:
    """Yield the numbered arrays of a group, checking that all are in this file."""
    import h5py

    wanted = [str(number) for number in range(len(group))]
    if sorted(group) != sorted(wanted):
        raise WeightsError(
            f"{where} has arrays in {group.name!r} that are not numbered from 0."
        )
    for key in wanted:
        found = _member(group, key, where)
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise WeightsError(f"{where} has no array at {found.name!r}.")
        stored = Stored(found.shape, found.dtype, found)
        # Chunks may be compressed, and may declare a size that contradicts the shape.
        if found.chunks is not None or found.is_virtual or found.external:
            raise WeightsError(
                f"{where} has {found.name!r} compressed, in chunks or in another file, "
                "which Keras never writes."
            )
        if found.id.get_storage_size() != found.size * found.dtype.itemsize:
            raise WeightsError(
                f"{where} has only a part of {found.name!r}, {describe(stored)}."
            )
        yield stored


def _kind(key: str) -> str | None:
    stem = key.rstrip("0123456789").removesuffix("_")
    return next((kind for kind in (key, stem) if kind in KINDS), None)
