"""One process at a time trains into a folder; without JAX, for those who only look."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from fdl.runs.errors import RunError

_FILE = ".training"
_PATIENCE = 1.0  # seconds; who looks holds the lock for a moment, too


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep others from training into a folder, for as long as this process does.

    The lock ends with the process, however that ends.

    Raises:
        RunError: If another process is training into it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, held(Path(folder)):
        ...     is_held(Path(folder))
        True
    """
    lock = FileLock(folder / _FILE)
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise RunError(
            f"{folder} is in use: another process is training into it."
        ) from error
    try:
        yield
    finally:
        (folder / _FILE).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether a process is training into a folder."""
    if not (folder / _FILE).is_file():  # looking leaves nothing behind
        return False
    try:
        with FileLock(folder / _FILE, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that we may only read
        return False
