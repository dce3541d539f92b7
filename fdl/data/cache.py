"""The cache on this computer: decoded arrays and downloaded files.

Nothing depends on it: a missing, damaged or unwritable cache only costs time.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from fdl.arrays import Batch, DataError
from fdl.data.catalog import Entry, Splits, checksum, verify
from fdl.files import expanded, keep_newest, write_whole


def folder() -> Path:
    """Return `FDL_CACHE_DIR`, or `fdl` in the user's cache folder."""
    own = os.environ.get("FDL_CACHE_DIR")
    if own:
        return expanded(own)
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fdl"


def originals() -> Path:
    """Return the folder of downloaded original files."""
    return folder() / "originals"


def path(entry: Entry) -> Path:
    """Return the file of a dataset's arrays; its name changes with the contents."""
    return folder() / f"{entry.name}-{checksum(entry)[:12]}.npz"


def read(entry: Entry) -> Splits | None:
    """Return the cached arrays; None if they are missing or damaged."""
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with (
            path(entry).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            train, test = (
                Batch(arrays[f"{split}_image"], arrays[f"{split}_label"])
                for split in ("train", "test")
            )
        verify(entry, (train, test), str(path(entry)))
    except Exception:
        # A damaged zip file fails in many ways; all mean that data are decoded again.
        return None
    return train, test


def write(entry: Entry, splits: Splits) -> None:
    """Cache the arrays, if the folder is writable."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        **{
            f"{split}_{kind}": array
            for split, batch in zip(("train", "test"), splits, strict=True)
            for kind, array in batch._asdict().items()
        },
    )
    keep(path(entry), buffer.getbuffer())


def key_of(
    title: str, options: object, files: Iterable[tuple[str, os.stat_result]]
) -> str:
    """Return a cache key for data computed from files; it changes with their content.

    It depends on the name, size, inode number and change time (ctime, in nanoseconds)
    of each file. Only the system sets the ctime, so an edit that keeps the size and
    restores the modification time is noticed too. Reading all of a large folder would
    take too long.

    Args:
        title: Prefix of the key.
        options: Everything else that the result depends on, compared by `repr`.
        files: Name and `os.stat` result of each file.
    """
    known = hashlib.sha256(repr(options).encode(errors="replace"))
    for name, about in files:
        said = f"\n{name}\t{about.st_size}\t{about.st_ino}\t{about.st_ctime_ns}"
        known.update(said.encode(errors="replace"))
    return f"{title}-{known.hexdigest()[:24]}"


def read_arrays(key: str) -> dict[str, np.ndarray] | None:
    """Return the arrays cached under a key; None if they are missing or damaged."""
    file = _decoded() / f"{key}.npz"
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        _mark_used(file)
    except Exception:
        # A damaged zip file fails in many ways; all mean that data are decoded again.
        return None
    return found


def keep_arrays(key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Cache arrays, if the folder is writable, and evict the least recently used.

    All cached arrays together take at most `FDL_CACHE_GB`, 8 by default.
    """
    if sum(array.nbytes for array in arrays.values()) > _limit() / 2:
        return
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    file = _decoded() / f"{key}.npz"
    keep(file, buffer.getbuffer())
    with contextlib.suppress(OSError):
        _mark_used(file)
        keep_newest(_decoded(), _limit())


def _mark_used(file: Path) -> None:
    """Set the modification time of a file to now, to record when it was last used."""
    now = time.time_ns()  # the system's own timestamps are coarse: some milliseconds
    os.utime(file, ns=(now, now))


def _decoded() -> Path:
    return folder() / "decoded"


def _limit() -> float:
    """Return the most bytes of decoded arrays to cache."""
    said = os.environ.get("FDL_CACHE_GB", "")
    try:
        return float(said or 8) * 1e9
    except ValueError as error:
        raise DataError(
            f"the environment variable FDL_CACHE_GB={said!r} must be a number."
        ) from error


def keep(file: Path, data: bytes | memoryview) -> None:
    """Write a file atomically; ignore failure."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, data)
