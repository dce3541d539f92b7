"""Stop where nothing is lost when the process is told to, by SIGINT or SIGTERM.

Without JAX, for commands that import it later. Nothing here changes what a signal does
unless `stop_on_signals` is entered, which the command line does for itself.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

AT_ONCE = 0.1
"""Seconds in which two signals are one.

`timeout` and others send the same to the process and to its group.
"""


class Interrupted(KeyboardInterrupt):
    """The process was told to stop; says what was kept, and how to go on."""


class Told:
    """What the process was told by signals so far.

    Attributes:
        number: The first signal; None if there was none.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.number: int | None = None
        self._when = 0.0
        self._put_off = 0

    @property
    def waits(self) -> bool:
        """Whether signals wait for a safe point."""
        return self._put_off > 0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Let signals wait to the end of the outermost such block."""
        self._put_off += 1
        try:
            yield
        finally:
            self._put_off -= 1
        if self.number is not None and not self.waits:
            raise Interrupted

    def handle(self, number: int, frame: Any) -> None:
        """Take note of a signal; raise Interrupted unless it is the first and waits."""
        now = time.monotonic()
        first = self.number is None
        if first:
            self.number, self._when = number, now
        elif now - self._when < AT_ONCE:
            return
        if not (first and self.waits):
            raise Interrupted


_told: Told | None = None  # handlers are the process's, and so is what they hear


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Told]:
    """Within it, SIGINT and SIGTERM raise Interrupted where nothing is lost.

    A training goes on for a few updates, saves its state, and raises then; a state that
    is being written is written to its end. Elsewhere the first signal raises at once,
    and a second does everywhere. Handlers are as before when it ends. Signals that the
    process was started to ignore, as by `nohup`, stay ignored. Within another, and
    outside the main thread, which alone can handle signals, it does nothing.

    Example:
        >>> try:
        ...     with stop_on_signals():
        ...         with put_off():
        ...             signal.raise_signal(signal.SIGTERM)
        ...             print("to the end")
        ...         print("never said")
        ... except Interrupted:
        ...     print("interrupted")
        to the end
        interrupted
    """
    global _told
    if _told is not None or threading.current_thread() is not threading.main_thread():
        yield _told or Told()
        return
    _told, before = Told(), {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, _told.handle)
    try:
        yield _told
    finally:
        _told = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Let signals wait to the end of the block; inside it, ask `told_to_stop`.

    Outside the main thread, which signals alone interrupt, it does nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    with _told.waiting() if _told is not None and main else contextlib.nullcontext():
        yield


def told_to_stop() -> bool:
    """Return whether a signal waits: then save what is unsaved, and raise Interrupted.

    Always False where signals are not handled by `stop_on_signals`.
    """
    return _told is not None and _told.number is not None
