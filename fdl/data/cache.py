"""What fdl keeps on this computer: decoded arrays and downloaded files.

Nothing here is needed: a cache that is missing, damaged or unwritable costs time only.
"""

import contextlib
import io
import os
from pathlib import Path

import numpy as np

from fdl.arrays import Batch
from fdl.data.catalog import Entry, Splits, checksum, verify
from fdl.files import write_whole


def folder() -> Path:
    """Return `FDL_CACHE_DIR`, or `fdl` in the user's cache folder."""
    own = os.environ.get("FDL_CACHE_DIR")
    if own:
        return expanded(own)
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fdl"


def expanded(path: str) -> Path:
    """Return a path with the user's home for `~`.

    Users of containers may have no home; then it is a path at which nothing can be.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(os.devnull, path)


def originals() -> Path:
    """Return the folder that keeps the original files once downloaded."""
    return folder() / "originals"


def path(entry: Entry) -> Path:
    """Return the file of a dataset's arrays; its name changes with the contents."""
    return folder() / f"{entry.name}-{checksum(entry)[:12]}.npz"


def read(entry: Entry) -> Splits | None:
    """Return the arrays if they are there and undamaged."""
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
        # A damaged zip file fails in many ways; all mean: decode the data again.
        return None
    return train, test


def write(entry: Entry, splits: Splits) -> None:
    """Keep the arrays, if the cache folder can be written."""
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


def keep(file: Path, data: bytes | memoryview) -> None:
    """Write a file so that it is complete or absent; ignore failure."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, data)
