"""Images of prepared directories and Parquet files, decoded once."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from fdl.arrays import DataError
from fdl.data import cache
from fdl.data.own import Part

Contents = tuple[dict[str, Part], tuple[str, ...] | None, list[str]]
"""Parts by name, class names if there are any, and notes about the data."""

_VERSION = "1"  # of the decoding; a new version invalidates the cache


def decoded_once(
    title: str, options: object, files: Iterable[Path], decode: Callable[[], Contents]
) -> Contents:
    """Return the decoded content of files, from the cache if possible.

    Args:
        title: Prefix of the cache key.
        options: Everything else that the result depends on.
        files: The files; see `fdl.data.cache.key_of`.
        decode: Decodes the files; only arrays of numbers or strings are cached.

    Raises:
        DataError: If a file does not exist.
    """
    try:
        seen = [(str(file), file.stat()) for file in files]
    except OSError as error:
        raise DataError(
            f"{error.filename}: cannot be read ({error.strerror})."
        ) from error
    key = cache.key_of(title, (_VERSION, options), seen)
    kept = cache.read_arrays(key)
    if kept is not None:
        return _unpacked(kept)
    parts, names, notes = decode()
    arrays = {
        f"{part}/{field}": np.asarray(array)
        for part, pair in parts.items()
        for field, array in pair._asdict().items()
    }
    if all(array.dtype.kind in "biufU" for array in arrays.values()):
        arrays["notes"] = np.array(notes, str)
        if names is not None:
            arrays["names"] = np.array(names, str)
        cache.keep_arrays(key, arrays)
    return parts, names, notes


def _unpacked(kept: dict[str, np.ndarray]) -> Contents:
    notes = kept.pop("notes").tolist()
    names = kept.pop("names").tolist() if "names" in kept else None
    parts = dict.fromkeys(name.partition("/")[0] for name in kept)
    return (
        {part: Part(kept[f"{part}/inputs"], kept[f"{part}/targets"]) for part in parts},
        None if names is None else tuple(names),
        notes,
    )
