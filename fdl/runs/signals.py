"""Stop at a point where nothing is lost, on SIGINT or SIGTERM.

JAX is not imported, for commands that import it later. Signals are only handled within
`stop_on_signals`, which commands enter themselves.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

AT_ONCE = 0.1
"""Seconds within which two signals count as one.

`timeout` and others send the same signal to the process and to its group.
"""


class Interrupted(KeyboardInterrupt):
    """Stopped by a signal; the message says what was saved and how to resume."""


class Told:
    """The signals that the process has received.

    Attributes:
        number: The first signal; None if there was none.
    """

    def __init__(self) -> None:
        """Begin without a signal."""
        self.number: int | None = None
        self._when = 0.0
        self._deferring = 0

    @property
    def waits(self) -> bool:
        """Whether signals are deferred to a safe point."""
        return self._deferring > 0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Defer signals to the end of the outermost such block."""
        self._deferring += 1
        try:
            yield
        finally:
            self._deferring -= 1
        if self.number is not None and not self.waits:
            raise Interrupted

    def handle(self, number: int, frame: Any) -> None:
        """Record a signal; raise Interrupted unless it is the first and deferred."""
        now = time.monotonic()
        first = self.number is None
        if first:
            self.number, self._when = number, now
        elif now - self._when < AT_ONCE:
            return
        if not (first and self.waits):
            raise Interrupted


_told: Told | None = None  # one for the whole process, like signal handlers


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Told]:
    """Let SIGINT and SIGTERM raise Interrupted at a point where nothing is lost.

    Training continues for a few updates, saves its state, and then raises; a state that
    is being written is completed first. Elsewhere the first signal raises immediately,
    and so does a second signal everywhere. The previous handlers are restored at the
    end. Signals that the process was started to ignore, as by `nohup`, stay ignored. It
    has no effect if nested, or outside the main thread, which alone can handle signals.

    Example:
        >>> try:
        ...     with stop_on_signals():
        ...         with defer_signals():
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
def defer_signals() -> Iterator[None]:
    """Defer signals to the end of the block; check `told_to_stop` inside it.

    It has no effect outside the main thread, the only one that signals interrupt.
    """
    main = threading.current_thread() is threading.main_thread()
    with _told.waiting() if _told is not None and main else contextlib.nullcontext():
        yield


def told_to_stop() -> bool:
    """Return whether a signal is pending: then save your work and raise Interrupted.

    Always False outside `stop_on_signals`.
    """
    return _told is not None and _told.number is not None
