"""What a hostile file may cost: some memory and time, whatever it declares."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextlib.contextmanager
def refused(error: type[Exception], words: str, mib: int = 128) -> Iterator[None]:
    """Assert that something is refused in one line, in 10 s and so much memory."""
    before, started = _memory("VmRSS"), time.perf_counter()
    if _RESET.exists():
        _RESET.write_text("5")  # forgets the peak so far
    with pytest.raises(error, match=words) as caught:
        yield
    assert time.perf_counter() - started < 10
    assert _memory("VmHWM") - before < mib * 1024
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000


def _memory(name: str) -> int:
    """Return a figure of this process's memory in KiB; 0 where there is none."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
