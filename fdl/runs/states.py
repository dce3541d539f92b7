"""States as Orbax files, written atomically: all that training needs to resume."""

import contextlib
import functools
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from fdl.arrays import PyTree
from fdl.learner import State
from fdl.processes import count
from fdl.runs.errors import RunError
from fdl.runs.signals import defer_signals
from fdl.untrusted import parse_json, read_text

UNFINISHED = ".[0-9]*"
"""Leftovers of a process that was killed while writing or deleting a state."""

_DIGESTS = "sha256.json"
_MOST_BESIDE = 1 << 26  # bytes of a state's files in addition to its arrays


def save_state(
    path: Path, state: State, beside: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """Write a state into a new folder, atomically, and sync it to disk.

    Signals are deferred meanwhile, see `fdl.runs.signals`.

    Args:
        path: The folder.
        state: The state.
        beside: Contents of other files to store with it, by name.

    Raises:
        RunError: If it cannot be written, such as to a full disk.

    Example:
        >>> import tempfile
        >>> state = State(jax.numpy.int32(3), {}, jax.random.key(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(Path(folder, "state"), state)
        ...     int(restore_state(Path(folder, "state"), state).step)
        3
    """
    import orbax.checkpoint as ocp  # takes a second to import

    unfinished = path.absolute().with_name(f".{path.name}")
    with (
        defer_signals(),
        _one_error(f"the state cannot be written to {path}"),
        _alone(),
    ):
        shutil.rmtree(unfinished, ignore_errors=True)
        # Uncompressed, so that a file never unpacks to more than its size.
        handler = ocp.PyTreeCheckpointHandler(use_compression=False)
        with ocp.Checkpointer(handler) as checkpointer:
            checkpointer.save(unfinished, ocp.args.PyTreeSave(state._asdict()))
        for name, content in beside.items():
            (unfinished / name).write_bytes(content)
        files = _files(unfinished)
        digests = {name: _sha256(file) for name, file in files.items()}
        (unfinished / _DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
        for written in (*unfinished.rglob("*"), unfinished):
            sync(written)
        unfinished.rename(path)
        sync(path.parent)


def restore_state(path: Path, like: State) -> State:
    """Return the state in a folder.

    Args:
        path: The folder that `save_state` wrote.
        like: A state with the same shapes and types, such as from `jax.eval_shape`; its
            values are not used. The arrays go to its devices, or to the first of this
            process if it has none.

    Raises:
        RunError: If the folder is damaged, or has the state of another learner.
    """
    import orbax.checkpoint as ocp

    shapes = jax.tree.map(_outline, like)
    _require_bounded(path, shapes)
    require_intact(path)
    with (
        defer_signals(),
        _one_error(f"the state in {path} cannot be restored"),
        _alone(),
        ocp.StandardCheckpointer() as checkpointer,
    ):
        _require_plain(path, shapes)
        return State(**checkpointer.restore(path.absolute(), shapes._asdict()))


def _outline(x: Any) -> jax.ShapeDtypeStruct:
    """Return an array's shape, type and sharding.

    Otherwise Orbax would look for its old devices, which this process may lack.
    """
    where = getattr(x, "sharding", None)
    if where is None:
        where = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hide other processes from Orbax.

    With several processes, Orbax expects all of them to write together. Here a single
    process holds the whole state and writes it, so that the files do not depend on the
    number of processes; and each process reads it by itself.
    """
    if count() == 1:
        yield
        return
    from unittest.mock import patch

    with patch.multiple(jax, process_count=lambda: 1, process_index=lambda: 0):
        yield


def _require_bounded(path: Path, like: State) -> None:
    """Raise RunError if files are too large for such a state."""
    wanted = sum(x.size * x.dtype.itemsize for x in _named(like).values())
    found = sum(file.stat().st_size for file in _files(path).values())
    if found > 2 * wanted + _MOST_BESIDE:
        raise RunError(
            f"the state in {path} cannot be restored: it has {found:,} bytes, but such "
            f"a state has {wanted:,}."
        )


def _require_plain(path: Path, like: State) -> None:
    """Raise an error unless arrays are stored as `save_state` stores them.

    Orbax also reads arrays that are compressed or chunked, unpacking chunks of any
    size.
    """
    import tensorstore

    said = parse_json(read_text(path / "_METADATA"))
    if said["use_ocdbt"] is not True or said["use_zarr3"] is not False:
        raise ValueError("its format is not that of fdl")
    base = {"driver": "ocdbt", "base": f"file://{path.absolute()}/"}
    store = tensorstore.KvStore.open(base).result()
    named, suffix = _named(like), b"/.zarray"
    stored = {key for key in store.list().result() if key.endswith(suffix)}
    wanted = {name.encode() + suffix for name in named}
    for key in sorted(stored ^ wanted)[:1]:
        name = key.removesuffix(suffix).decode(errors="replace")
        raise ValueError(f"it {'has' if key in stored else 'lacks'} {name}")
    for name, x in named.items():
        about = parse_json(store[f"{name}/.zarray"])
        pieces = zip(about["chunks"], x.shape, strict=True)
        if about["compressor"] is not None or any(n > most for n, most in pieces):
            raise ValueError(f"{name} is not stored as fdl stores it")


def _named(like: State) -> dict[str, Any]:
    """Return the shapes of a state's arrays by the names that Orbax gives them."""
    shapes = jax.eval_shape(without_keys, like)._asdict()
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): x
        for path, x in jax.tree_util.tree_leaves_with_path(shapes)
    }


def is_key(x: Any) -> bool:
    """Return whether an array, or its outline, contains random keys."""
    return jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key)


def without_keys(state: PyTree) -> PyTree:
    """Replace random keys in a state with their raw words."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, state)


@contextlib.contextmanager
def _one_error(what: str) -> Iterator[None]:
    """Turn any error into a RunError of one line.

    Orbax reports an error several times, in hundreds of lines, from its own threads,
    some of which outlive the call.
    """
    log, hook = logging.getLogger("absl"), sys.unraisablehook
    level = log.level
    log.setLevel(logging.CRITICAL)
    sys.unraisablehook = functools.partial(_but_of_orbax, hook)
    try:
        yield
        sys.unraisablehook = hook
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{what}: {reason}") from error
    finally:
        log.setLevel(level)


def _but_of_orbax(hook: Callable[[Any], Any], unraisable: Any) -> None:
    code = getattr(unraisable.object, "cr_code", None)
    of_orbax = code is not None and "orbax" in code.co_filename
    if not of_orbax and str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def require_intact(path: Path) -> None:
    """Raise RunError unless all files of a state match their checksums.

    Orbax does not notice a changed number; and if it does find damage, it reports many
    errors, some of them from threads that outlive the call.
    """
    if damaged := _first_damaged(path):
        raise RunError(
            f"the state in {path} cannot be restored: {damaged} is missing or damaged."
        )


def is_ours(path: Path) -> bool:
    """Return whether a folder is a state that fdl wrote, or the rest of one."""
    names = {file.name for file in path.iterdir()}
    return not names or bool(names & {_DIGESTS, "_CHECKPOINT_METADATA"})


def _first_damaged(path: Path) -> str | None:
    """Return the name of a file that is missing or damaged; None if all are intact."""
    there = _files(path)
    try:
        digests = parse_json(read_text(path / _DIGESTS))
        for name, digest in digests.items():
            if name not in there or _sha256(there[name]) != digest:
                return name
    except (OSError, ValueError, AttributeError):
        return _DIGESTS
    return None


def _files(path: Path) -> dict[str, Path]:
    """Return the files in a folder by relative path, without symbolic links."""
    return {
        file.relative_to(path).as_posix(): file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of files, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # which lacks the file name
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
