"""Read and write HDF5 files of Keras weights; what is read is treated as untrusted.

A layer is a group that contains a group `vars` of arrays numbered from 0:
`layers/conv2d_1/vars/0`. Groups are named by class and number; the name of the layer is
an attribute of `vars`. Only the features that Keras uses are read: no links, no arrays
outside the file, no compression, and no array before its shape has been checked.

A damaged file can make the HDF5 library hang or use up all memory, so the library runs
in a subprocess, see `fdl.keras.hdf5_contents`. HDF5 files have no checksums: changed
values cannot be detected.
"""

import json
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fdl.keras import hdf5_contents
from fdl.keras.layers import KINDS, Layer, Path, parts
from fdl.untrusted import shortened
from fdl.weights import WeightsError, describe

_SECONDS = 5  # of processor time; a ResNet-152 takes 2
# Seconds of wall time. A hostile file uses the processor, and is stopped above; on a
# busy machine, a good one may have to wait for it.
_PATIENCE = 60

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
    """An array in a file that has not been read yet.

    Attributes:
        shape: Its shape.
        dtype: Its type.
        start: Offset of its first byte in the file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    start: int


class WholeModel(NamedTuple):
    """A file with a whole model, as `keras_model.save("x.h5")` writes it.

    Attributes:
        config: The config of the model, as JSON.
        training: The arguments of `compile`, as JSON; None if it is not compiled.
        version: The version of Keras that wrote the file; empty if unknown.
        arrays: The arrays of each layer, by the name of the layer.
        names: The names of these arrays, in the same order.
    """

    config: str
    training: str | None
    version: str
    arrays: dict[str, list[Stored]]
    names: dict[str, list[str]]


def layers_in(file: BinaryIO, where: str) -> list[Layer]:
    """Return the layers of an HDF5 file that have arrays, without reading the arrays.

    Args:
        file: The file; it must have a file descriptor.
        where: Name of the file in messages.

    Raises:
        WeightsError: If the file contains anything that Keras does not write, or
            listing it takes too much memory or time.
    """
    contents = _weights_in(file, where)
    if "layers" in contents:
        return _of_keras2(contents["layers"])
    groups = [
        (
            tuple(group["path"]),
            tuple(group["names"]),
            tuple(_stored(*array) for array in group["arrays"]),
        )
        for group in contents["groups"]
    ]
    in_cell = [path[-1:] == ("cell",) for path, _, _ in groups]
    paths = [
        path[:-1] if cell else path
        for (path, _, _), cell in zip(groups, in_cell, strict=True)
    ]
    whole = parts(paths, lambda piece: ROLES.get(piece, ""))
    return [
        Layer(
            names=tuple(name for name in names[: len(path)] if name is not None),
            role=role,
            # In other groups, keys are attribute names rather than classes.
            kind=_kind(path[-1]) if path[-2:-1] == ("layers",) else None,
            place=path,
            arrays=arrays,
        )
        for (_, names, arrays), (path, role) in zip(groups, whole, strict=True)
    ]


def groups_in(file: BinaryIO, where: str) -> dict[str, list[Stored]]:
    """Return the arrays of an HDF5 file by group, without reading them.

    Args:
        file: The file; it must have a file descriptor.
        where: Name of the file in messages.

    Raises:
        WeightsError: As for `layers_in`.
    """
    contents = _weights_in(file, where)
    if "layers" in contents:
        raise WeightsError(
            f"{where} has weights in the format of Keras 2, without their model: save "
            "the whole model with model.save('x.h5') for fdl.keras.import_model."
        )
    return {
        "/".join(group["path"]): [_stored(*array) for array in group["arrays"]]
        for group in contents["groups"]
    }


def is_whole_model(file: BinaryIO, where: str) -> bool:
    """Return whether a file has the config of its model, and not weights alone.

    Args:
        file: The file; it must have a file descriptor.
        where: Name of the file in messages.

    Raises:
        WeightsError: As for `layers_in`.
    """
    return "model" in _contents(file, where)


def whole_model(file: BinaryIO, where: str) -> WholeModel:
    """Return the configs and the arrays of a whole model, without reading the arrays.

    Args:
        file: The file; it must have a file descriptor.
        where: Name of the file in messages.

    Raises:
        WeightsError: If the file has no model, or as for `layers_in`.
    """
    contents = _contents(file, where)
    if "model" not in contents:
        raise WeightsError(
            f"{where} has weights without their model: save the whole model with "
            "keras_model.save, or load the weights into a module with "
            "fdl.keras.load_weights."
        )
    found = contents["model"]
    texts, groups = found["texts"], found["groups"]
    return WholeModel(
        texts["model_config"],
        texts["training_config"],
        texts["keras_version"] or "",
        {group["path"][0]: [_stored(*a) for a in group["arrays"]] for group in groups},
        {group["path"][0]: group["names"] for group in groups},
    )


def optimizer_in(file: BinaryIO, where: str) -> list[Stored]:
    """Return the arrays of the optimizer in a file, without reading them.

    Args:
        file: The file; it must have a file descriptor.
        where: Name of the file in messages.

    Raises:
        WeightsError: If the optimizer is damaged, or as for `layers_in`.
    """
    found = _contents(file, where)["optimizer"]
    if isinstance(found, str):
        raise WeightsError(f"{where} has a damaged optimizer: it {found}")
    return [_stored(*array) for array in found]


def read(file: BinaryIO, stored: Stored, where: str) -> np.ndarray:
    """Read an array from a file, and return it in native byte order."""
    size = math.prod(stored.shape) * stored.dtype.itemsize
    file.seek(stored.start)
    content = file.read(size)
    if len(content) != size:
        raise WeightsError(f"{where} has only part of {describe(stored)}.")
    found = np.frombuffer(content, stored.dtype).reshape(stored.shape)
    return found.astype(stored.dtype.newbyteorder("="))


class Group(NamedTuple):
    """A layer, or a part of one, as a group of a file.

    Attributes:
        place: Path of the group: `layers/dense_1`.
        name: The name of the layer; None for parts.
        arrays: Its arrays, in order.
    """

    place: str
    name: str | None
    arrays: Sequence[np.ndarray]


def groups_of(
    layers: Sequence[Layer],
    arrays: Mapping[Path, np.ndarray],
    homes: Mapping[Path, str] | None = None,
) -> list[Group]:
    """Return the groups of layers, as Keras writes them for a flat model.

    Args:
        layers: The layers.
        arrays: Their arrays.
        homes: Path of each layer's group, by the path of its module; None to number
            the layers of each class in order.

    Raises:
        WeightsError: If Keras has no such layer.
    """
    found: list[Group] = []
    known: dict[Path, str] = dict(homes or {})
    numbers: Counter[str] = Counter()
    named: set[Path] = set()
    for layer in layers:
        kind = layer.kind
        if kind is None and homes is None:
            raise WeightsError(f"Keras has no layer class for {layer}.")
        if layer.names not in known and kind is not None:
            number = f"_{numbers[kind]}" if numbers[kind] else ""
            numbers[kind] += 1
            known[layer.names] = f"layers/{kind}{number}"
        home = known[layer.names]
        if layer.names not in named:
            named.add(layer.names)
            name = layer._replace(role="").name or kind
            found.append(Group(home, name, ()))
        steps = [home, GROUPS.get(layer.role)]
        steps += ["cell"] if kind in HAVE_CELLS else []
        place = "/".join(filter(None, steps))
        found.append(Group(place, None, [arrays[slot.path] for slot in layer.arrays]))
    return found


def write(file: Any, groups: Iterable[Group]) -> None:
    """Write groups to an open, empty file."""
    file.create_group("vars")  # of the model itself; early releases require it
    for group in groups:
        own = file.require_group(f"{group.place}/vars")
        if group.name is not None:
            own.attrs["name"] = group.name
        for number, array in enumerate(group.arrays):
            own[str(number)] = array
            if np.asarray(array).dtype.name == "bfloat16":  # HDF5 has no such type
                own[str(number)].attrs["dtype"] = "bfloat16"


def _of_keras2(groups: Sequence[dict[str, Any]]) -> list[Layer]:
    """Return layers with their names, whose numbers give the order of definition.

    The file is in another order: from input to output.
    """
    return [
        Layer(
            names=tuple(group["path"][0].split("/")),
            role="",
            kind=None,
            place=(),
            arrays=tuple(_stored(*array) for array in group["arrays"]),
        )
        for group in groups
        if group["arrays"]
    ]


def _weights_in(file: BinaryIO, where: str) -> dict[str, Any]:
    contents = _contents(file, where)
    if "model" in contents:
        raise WeightsError(
            f"{where} is a whole model: import it with fdl.keras.import_model."
        )
    return contents


def _contents(file: BinaryIO, where: str) -> dict[str, Any]:
    file.seek(0)
    contents = _ask(file, where)
    if "error" in contents:
        raise WeightsError(f"{where} {contents['error']}")
    return contents


def _ask(file: BinaryIO, where: str) -> dict[str, Any]:
    """Return the contents of a file, as a subprocess lists them."""
    # The subprocess gets our module path; without `site`, it starts faster.
    paths = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-S", "-P", hdf5_contents.__file__, str(_SECONDS)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        try:
            listed, errors = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            why = f"took more than {_PATIENCE} s (if this machine is busy, try again)"
            raise _unreadable(where, why) from None
        except BaseException:  # on an interrupt, end the subprocess too
            process.kill()
            process.wait()
            raise
    if process.returncode == -signal.SIGXCPU:
        raise _unreadable(where, f"took more than {_SECONDS} s of processor time")
    if process.returncode:
        line = errors.decode(errors="replace").strip().rpartition("\n")[2]
        why = f"ended with exit code {process.returncode}: {shortened(line)}"
        raise _unreadable(where, why.rstrip("."))
    return json.loads(listed)


def _unreadable(where: str, why: str) -> WeightsError:
    return WeightsError(
        f"{where} cannot be read as HDF5, so it is probably damaged: reading it {why}."
    )


def _stored(shape: Sequence[int], dtype: str, start: int) -> Stored:
    return Stored(tuple(shape), np.dtype(dtype), start)


def _kind(key: str) -> str | None:
    stem = key.rstrip("0123456789").removesuffix("_")
    return next((kind for kind in (key, stem) if kind in KINDS), None)
