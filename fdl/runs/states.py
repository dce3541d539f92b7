"""States as files of Orbax: all that training needs to go on, kept whole."""

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
from fdl.runs.signals import put_off
from fdl.untrusted import parse_json, read_text

UNFINISHED = ".[0-9]*"
"""What a process leaves that is killed as it writes or deletes a state."""

_DIGESTS = "sha256.json"
_MOST_BESIDE = 1 << 26  # bytes of a state's files that are not its numbers


def save_state(
    path: Path, state: State, beside: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """Write a state into a new folder, whole or not at all, and onto the disk.

    Signals wait for it, see `fdl.runs.signals`.

    Args:
        path: The folder.
        state: The state.
        beside: Contents of other files that are kept with it, by name.

    Raises:
        RunError: If it cannot be written, such as to a disk that is full.

    Example:
        >>> import tempfile
        >>> state = State(jax.numpy.int32(3), {}, jax.random.key(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(Path(folder, "state"), state)
        ...     int(restore_state(Path(folder, "state"), state).step)
        3
    """
    import orbax.checkpoint as ocp  # a second of imports that only this needs

    unfinished = path.absolute().with_name(f".{path.name}")
    with put_off(), _one_error(f"the state cannot be written to {path}"), _alone():
        shutil.rmtree(unfinished, ignore_errors=True)
        # Uncompressed, so that a file never unpacks to more than it is.
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
    """Return the state that is in a folder.

    Args:
        path: The folder that `save_state` wrote.
        like: A state with the same shapes and types; its values are not used, so
            `jax.eval_shape` can make it.

    Raises:
        RunError: If the folder is damaged, or holds the state of another learner.
    """
    import orbax.checkpoint as ocp

    shapes = jax.tree.map(_outline, like)
    _require_bounded(path, shapes)
    require_intact(path)
    with (
        put_off(),
        _one_error(f"the state in {path} cannot be restored"),
        _alone(),
        ocp.StandardCheckpointer() as checkpointer,
    ):
        _require_plain(path, shapes)
        return State(**checkpointer.restore(path.absolute(), shapes._asdict()))


def _outline(x: Any) -> jax.ShapeDtypeStruct:
    """Return an array's shape and type, and for a random key, where it goes.

    Orbax would look for the device that it was on, which another process may have.
    """
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here if is_key(x) else None)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let Orbax know of no other process.

    Among several it writes only what all have to write together. Here one process has a
    state whole and writes it, so that the files are the same however many compute it;
    and each reads it by itself.
    """
    if count() == 1:
        yield
        return
    from unittest.mock import patch

    with patch.multiple(jax, process_count=lambda: 1, process_index=lambda: 0):
        yield


def _require_bounded(path: Path, like: State) -> None:
    """Raise RunError if files are larger than those of such a state are."""
    wanted = sum(x.size * x.dtype.itemsize for x in _named(like).values())
    found = sum(file.stat().st_size for file in _files(path).values())
    if found > 2 * wanted + _MOST_BESIDE:
        raise RunError(
            f"the state in {path} cannot be restored: it has {found:,} bytes, and "
            f"such a state {wanted:,}."
        )


def _require_plain(path: Path, like: State) -> None:
    """Raise an error unless arrays are stored as `save_state` stores them.

    Orbax also reads arrays that are compressed, or in pieces, each as a whole, whatever
    their size.
    """
    import tensorstore

    said = parse_json(read_text(path / "_METADATA"))
    if said["use_ocdbt"] is not True or said["use_zarr3"] is not False:
        raise ValueError("it is in another format than fdl's")
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
    """Return whether an array, or its outline, is of random keys."""
    return jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key)


def without_keys(state: PyTree) -> PyTree:
    """Return a state with numbers for its random keys."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, state)


@contextlib.contextmanager
def _one_error(what: str) -> Iterator[None]:
    """Raise a RunError of one line for whatever goes wrong.

    Orbax tells of it several times, in hundreds of lines, from threads of its own, of
    which some outlive the call.
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
    """Raise RunError unless all files of a state are as they were written.

    Orbax does not tell a changed number from another; and where it does find damage, it
    reports many errors, some of them from threads that outlive the call.
    """
    if damaged := _first_damaged(path):
        raise RunError(
            f"the state in {path} cannot be restored: {damaged} is missing or damaged."
        )


def is_ours(path: Path) -> bool:
    """Return whether a folder is a state that was written here, or what is left."""
    names = {file.name for file in path.iterdir()}
    return not names or bool(names & {_DIGESTS, "_CHECKPOINT_METADATA"})


def _first_damaged(path: Path) -> str | None:
    """Return the name of a file that is not as it was written; None if all are."""
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
    """Return the files in a folder by their names there; what a link names is none."""
    return {
        file.relative_to(path).as_posix(): file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Put a file, or which files a folder has, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # which does not know the name
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
