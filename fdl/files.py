"""Atomic writing of files: every file that fdl writes goes through here."""

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_whole(path: Path | str, content: bytes | memoryview) -> None:
    """Write a file atomically: it gets all of the new content or none of it.

    Several processes may write the same file at once. The content is synced to disk
    before the rename, so a power failure does not leave an empty file either. A
    replaced file keeps its permissions; a symbolic link is itself replaced, and its
    target stays as it is.

    Raises:
        OSError: If the file cannot be written; the message names it, and its previous
            content is unchanged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder, "a"), b"all of it")
        ...     Path(folder, "a").read_bytes()
        b'all of it'
    """
    path = Path(path)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EEXIST, "Exists and is not a file")
        mode = path.stat().st_mode & 0o777 if path.is_file() else None
        # O_EXCL: anything that has this name already, such as a link that somebody
        # planted, is an error and is not followed.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(descriptor, "wb") as file:
                if mode is not None:
                    os.fchmod(descriptor, mode)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        # Name the file that the user knows, not the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def json_text(content: Any, *, indent: int | None = None) -> str:
    """Return an object as JSON; NaN and infinity, which JSON lacks, become null.

    Example:
        >>> json_text({"loss": float("inf"), "accuracy": (0.5, float("nan"))})
        '{"loss": null, "accuracy": [0.5, null]}'
    """
    return json.dumps(_finite(content), indent=indent, allow_nan=False)


def sha256_of(content: Any) -> str:
    """Return the sha256 of an object's JSON, however it is formatted in a file.

    Example:
        >>> sha256_of({"loss": 0.5})
        '96cee10d9249...'
    """
    return hashlib.sha256(json_text(content).encode()).hexdigest()


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content


def expanded(path: str) -> Path:
    """Return a path with `~` expanded.

    In a container the user may have no home; the result is then a path that cannot
    exist.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(os.devnull, path)


def sync_folder(path: Path) -> None:
    """Sync a folder's entries to disk, so that a rename survives a power failure.

    Some file systems cannot do this; the files are in place all the same.

    Example:
        >>> sync_folder(Path("."))
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keep_newest(folder: Path, limit: float) -> None:
    """Delete the least recently used files of a folder.

    Args:
        folder: The folder; its subfolders are ignored.
        limit: Bytes that the remaining files may take.

    Raises:
        OSError: If the folder cannot be read, or a file cannot be deleted.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for time, name in enumerate("abc"):
        ...         file = Path(folder, name)
        ...         _ = file.write_bytes(bytes(10))
        ...         os.utime(file, (time, time))
        ...     keep_newest(Path(folder), 20.0)
        ...     sorted(os.listdir(folder))
        ['b', 'c']
    """
    kept = []
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process may delete too
            kept.append((file.stat(), file))
    kept.sort(key=lambda each: each[0].st_mtime_ns, reverse=True)
    total = 0
    for about, file in kept:
        if stat.S_ISREG(about.st_mode):
            total += about.st_size
            if total > limit:
                file.unlink(missing_ok=True)
