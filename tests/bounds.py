"""Bounds on the memory and time that a hostile file may cost, whatever it declares."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextlib.contextmanager
def refused(error: type[Exception], words: str, mib: int = 128) -> Iterator[None]:
    """Assert that the block raises a one-line error within 10 s and `mib` MiB."""
    before, started = memory("VmRSS"), time.perf_counter()
    reset_peak()
    with pytest.raises(error, match=words) as caught:
        yield
    assert time.perf_counter() - started < 10
    assert memory("VmHWM") - before < mib * 1024
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000


def reset_peak() -> None:
    """Reset the peak memory of this process, where the system supports it."""
    if _RESET.exists():
        _RESET.write_text("5")


def memory(name: str) -> int:
    """Return the current (`VmRSS`) or peak (`VmHWM`) memory in KiB; 0 if unknown."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
