"""Writing of files, whole or not at all: whatever fdl writes, it writes by this."""

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
    """Write a file atomically: it has all of the new content or none of it.

    Several processes may write the same file at once. The content is on the disk before
    it gets its name, so that a power cut does not leave an empty file either. A file
    that is replaced keeps its permissions; a link is replaced, and what it points to
    stays as it is.

    Raises:
        OSError: If it cannot be written; names the file, and what stood there is there
            still.

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
            raise OSError(errno.EEXIST, "Something that is no file is there")
        mode = path.stat().st_mode & 0o777 if path.is_file() else None
        # Whatever has that name already, such as a link that somebody put there, is an
        # error, and is not written through.
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
        # The user knows the file by its own name.
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def json_text(content: Any, *, indent: int | None = None) -> str:
    """Return JSON, which has no numbers that are not finite: those become null.

    Example:
        >>> json_text({"loss": float("inf"), "accuracy": (0.5, float("nan"))})
        '{"loss": null, "accuracy": [0.5, null]}'
    """
    return json.dumps(_finite(content), indent=indent, allow_nan=False)


def sha256_of(content: Any) -> str:
    """Return the sha256 of the JSON of an object, however it is laid out in a file.

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
    """Return a path with the user's home for `~`.

    Users of containers may have no home; then it is a path at which nothing can be.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(os.devnull, path)


def sync_folder(path: Path) -> None:
    """Put on the disk which files a folder has, so that a rename outlasts a power cut.

    Some file systems cannot; the files are in their places all the same.

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
    """Delete the files of a folder that were used the longest ago.

    Args:
        folder: The folder; what is in its folders does not count.
        limit: How many bytes the other files may take.

    Raises:
        OSError: If the folder cannot be read, or a file not be deleted.

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
        with contextlib.suppress(FileNotFoundError):  # another process deletes, too
            kept.append((file.stat(), file))
    kept.sort(key=lambda each: each[0].st_mtime_ns, reverse=True)
    total = 0
    for about, file in kept:
        if stat.S_ISREG(about.st_mode):
            total += about.st_size
            if total > limit:
                file.unlink(missing_ok=True)
