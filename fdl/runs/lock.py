"""Let only one process train into a folder; without importing JAX, for quick checks."""

import contextlib
import datetime
import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock, Timeout

from fdl.files import write_whole
from fdl.runs.errors import RunError
from fdl.untrusted import parse_json

LOCK, HOLDER = ".training", ".training.json"

_PATIENCE = 1.0  # seconds; `is_held` takes the lock for a moment, too
_BEAT = 10.0  # seconds between two heartbeats
_SILENCE = 120.0  # seconds without one until a process elsewhere counts as dead


class Holder(NamedTuple):
    """The process that trains into a folder.

    Attributes:
        process: Its process ID.
        host: The name of its machine.
        began: Its start, in seconds since 1970, since process IDs are reused.
        beat: Its last heartbeat, likewise.
    """

    process: int
    host: str
    began: float
    beat: float

    @classmethod
    def this(cls) -> "Holder":
        """Return this process."""
        began = psutil.Process().create_time()
        return cls(os.getpid(), socket.gethostname(), began, time.time())

    def __str__(self) -> str:
        """Return the process, its host and its last heartbeat."""
        heard = datetime.datetime.fromtimestamp(self.beat).isoformat(" ", "seconds")
        return f"process {self.process} on {self.host} (last heard of {heard})"

    def lives(self, now: float) -> bool:
        """Return whether the process is alive, as far as this machine can tell."""
        if self.host != socket.gethostname():
            return now - self.beat < _SILENCE
        try:
            began = psutil.Process(self.process).create_time()
        except psutil.Error:
            return False
        return abs(began - self.began) < 1


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from training into a folder while this one does.

    The kernel releases the lock however the process ends. If the folder is shared
    between machines that do not share locks, a heartbeat file names the holder.

    Raises:
        RunError: If another process is training into it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, held(Path(folder)):
        ...     is_held(Path(folder))
        True
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise in_use(folder) from error
    try:
        os.utime(folder / LOCK)
        now = (folder / LOCK).stat().st_mtime  # by the clock of the file server
        before = _holder(folder)
        if before is not None and before.lives(now):
            raise in_use(folder)
        if before is not None:
            warnings.warn(
                f"{folder}: {before} was training into it and is gone; continuing.",
                stacklevel=3,
            )
        with _beating(folder / HOLDER):
            yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether a process is training into a folder."""
    if (folder / LOCK).is_file():  # otherwise the check would create it
        try:
            with FileLock(folder / LOCK, timeout=0):
                pass
        except Timeout:
            return True
        except OSError:  # a read-only folder
            pass
    holder = _holder(folder)
    return holder is not None and holder.lives(time.time())


def in_use(folder: Path) -> RunError:
    """Return the error for a folder that a process is training into."""
    who = _holder(folder) or "another process"
    return RunError(
        f"{folder} is in use: {who} is training into it. Wait for it, end it, or use "
        "another folder."
    )


@contextlib.contextmanager
def _beating(file: Path) -> Iterator[None]:
    """Touch a file every few seconds, as the heartbeat of this process."""
    write_whole(file, json.dumps(Holder.this()._asdict()).encode())
    over = threading.Event()

    def beat() -> None:
        while not over.wait(_BEAT):
            with contextlib.suppress(OSError):
                os.utime(file)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        file.unlink(missing_ok=True)


def _holder(folder: Path) -> Holder | None:
    """Return the process that trains into a folder, according to its file."""
    try:
        with (folder / HOLDER).open("rb") as file:
            said, beat = parse_json(file.read(4096)), os.fstat(file.fileno()).st_mtime
        return Holder(
            int(said["process"]), str(said["host"]), said["began"] + 0.0, beat
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None  # there is no such file, or it is incomplete
