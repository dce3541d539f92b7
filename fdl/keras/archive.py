"""Read and write `.keras` files: a zip of a config, metadata and an HDF5 weights file.

Members are read by their exact names, into memory, up to a maximum size. Nothing is
extracted to disk or executed.
"""

import contextlib
import datetime
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from fdl.untrusted import opened_zip, parse_json, reason, unpack
from fdl.weights import WeightsError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_CONFIG = 1 << 24  # bytes; that of a ResNet-152 has 500,000
MAX_EXPANSION = 4  # Keras does not compress, and random weights compress to 90 %
SLACK = 1 << 26  # bytes of overhead in a weights file
MOST_BYTES = 80  # per weight: ten doubles, for the slots of an optimizer
MAX_AXES = 8
MAX_SIZE = 1 << 31

KERAS_VERSION = "3.3.3"  # the oldest release that is known to load these files


def read_weights(path: Path, count: int) -> bytes:
    """Return the HDF5 file of weights inside a `.keras` file.

    Args:
        path: The file.
        count: Number of weights of the model. The limit is ten times as many, since an
            optimizer may store several values per weight.
    """
    with _opened(path) as archive:
        if "model.weights.json" in archive.namelist():
            raise WeightsError(
                f"{path} has its weights in several files, which is not supported. "
                "Save it again without max_shard_size."
            )
        return _member(archive, path, WEIGHTS, MOST_BYTES * count + SLACK)


def read_config(path: Path) -> Any:
    """Return the parsed `config.json` of a `.keras` file."""
    content = _description(path)
    try:
        return parse_json(content)
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path} has a damaged {CONFIG}: {reason(error)}."
        ) from error


def is_of_keras2(path: Path) -> bool:
    """Return whether Keras 2 wrote a `.keras` file, according to its metadata."""
    try:
        metadata = parse_json(read_asset(path, METADATA) or b"{}")
    except (ValueError, RecursionError):
        return False
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return isinstance(version, str) and version.startswith("2.")


def read_asset(path: Path, name: str) -> bytes | None:
    """Return a member, such as the vocabulary of a layer; None if there is none."""
    with _opened(path) as archive:
        if name not in archive.namelist():
            return None
        return _member(archive, path, name, MAX_CONFIG)


def read_inputs(path: Path) -> list[jax.ShapeDtypeStruct]:
    """Return the shapes and types of the inputs, in order, with 1 for unknown sizes."""
    content = _description(path)
    try:
        config = parse_json(content)["config"]
        given = {
            layer["config"]["name"]: _shape(layer["config"])
            for layer in config["layers"]
            if layer["class_name"] == "InputLayer"
        }
        order = config.get("input_layers", list(given))
        # A functional model with a single input does not wrap it in a list.
        order = [order] if len(order) == 3 and order[1:] == [0, 0] else order
        shapes = [given[i if isinstance(i, str) else i[0]] for i in order]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        shapes = []
    if not shapes:
        raise WeightsError(
            f"{path} does not describe the inputs of its model: pass an example input."
        )
    return shapes


def _description(path: Path) -> bytes:
    with _opened(path) as archive:
        return _member(archive, path, CONFIG, MAX_CONFIG)


def make(weights: bytes, config: dict[str, Any]) -> bytes:
    """Return the bytes of a `.keras` file."""
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        metadata = {"keras_version": KERAS_VERSION, "date_saved": now}
        # No dates: zip cannot store any before 1980 or after 2107, and a clock may be
        # wrong.
        archive.writestr(zipfile.ZipInfo(METADATA), json.dumps(metadata))
        archive.writestr(zipfile.ZipInfo(CONFIG), json.dumps(config))
        archive.writestr(zipfile.ZipInfo(WEIGHTS), weights)
    return buffer.getvalue()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading; raise WeightsError if it is damaged."""
    faults = (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error)
    try:
        with opened_zip(path) as archive:
            yield archive
    except WeightsError:
        raise
    except (*faults, NotImplementedError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read as .keras: {reason(error)}."
        ) from error


def _member(archive: zipfile.ZipFile, path: Path, name: str, limit: int) -> bytes:
    """Read a member of at most `limit` bytes."""
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise WeightsError(f"{path} has {len(found) or 'no'} members named {name}.")
    (info,) = found
    if info.flag_bits & 1:
        raise WeightsError(
            f"{path} has an encrypted {name}: save the file without a password."
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise WeightsError(
            f"{path} has {name} in a compression format that Keras never uses."
        )
    limit = min(limit, MAX_EXPANSION * info.compress_size + SLACK)
    if info.file_size > limit:
        raise WeightsError(
            f"{path} has a {name} of {info.file_size:,} bytes; the limit for this "
            f"model is {limit:,}."
        )
    data = unpack(archive, info, info.file_size)
    if len(data) != info.file_size:
        raise WeightsError(f"{path} has only {len(data):,} bytes of {name}.")
    return data


def _shape(config: dict[str, Any]) -> jax.ShapeDtypeStruct:
    sizes = [1 if size is None else size for size in config["batch_shape"]]
    if len(sizes) > MAX_AXES:
        raise ValueError
    if not all(type(size) is int and 0 < size < MAX_SIZE for size in sizes):
        raise ValueError
    dtype = jnp.dtype(config["dtype"])
    if not jnp.issubdtype(dtype, jnp.number):
        raise ValueError
    return jax.ShapeDtypeStruct(sizes, jax.dtypes.canonicalize_dtype(dtype))
