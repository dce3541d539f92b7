"""End a command on SIGINT or SIGTERM: one line and an exit code, no traceback."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from fdl.runs.signals import (
    AT_ONCE,
    SIGNALS,
    Interrupted,
    Told,
    stop_on_signals,
    told_to_stop,
)

_how: Callable[[], str] = lambda: "interrupted"  # the message about the command


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let signals end the command: exit with 130 for SIGINT, 143 for SIGTERM.

    Where work would be lost, the command first runs to a safe point; a second signal
    ends it at once, even within compiled code.
    """
    with stop_on_signals() as told, _watched(told), _never_ignored(told):
        try:
            yield
        except SystemExit:
            raise
        except BaseException as error:
            # Interrupted imports in C raise other errors, as below.
            if told.number is None and not isinstance(error, KeyboardInterrupt):
                raise
            said = isinstance(error, KeyboardInterrupt) and str(error)
            _say(said or "interrupted")
            sys.exit(_code(told))


@contextlib.contextmanager
def saying_how_to_resume(
    command: Callable[[], str | None], again: str
) -> Iterator[None]:
    """Add to an interruption the command that resumes.

    Args:
        command: Returns the command that resumes; None while nothing is saved.
        again: Further options that this command needs.
    """
    global _how

    def how() -> str:
        words = command()
        if words is None:
            return "interrupted before training began; nothing is saved."
        return f"interrupted; to resume: {words}{again}"

    before, _how = _how, how
    try:
        yield
    except BaseException as error:
        # An import in C that is interrupted raises an error of another kind.
        if not isinstance(error, KeyboardInterrupt) and not told_to_stop():
            raise
        said = str(error) if isinstance(error, Interrupted) else ""  # ends like `how`
        raise Interrupted(f"{said}{again}" if said else how()) from None
    finally:
        _how = before


def end_on_signals() -> None:
    """Let signals end the process at once from now on: no work can be lost."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(128 + number))


@contextlib.contextmanager
def _watched(told: Told) -> Iterator[None]:
    """Handle signals while the main thread is in compiled code and cannot.

    Python writes each signal to a pipe at once; a thread reads it there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, told_of = os.pipe()
    os.set_blocking(told_of, False)
    before = signal.set_wakeup_fd(told_of, warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(heard, told), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told_of)  # which ends the thread
        thread.join()
        os.close(heard)


def _watch(heard: int, told: Told) -> None:
    first = None
    while byte := os.read(heard, 1):
        if byte[0] not in SIGNALS:
            continue
        if first is None:
            first = time.monotonic()
            if told.waits:
                _say("stopping at the next safe point; a second signal exits at once")
        elif time.monotonic() - first > AT_ONCE:
            _say("exited at once")
            os._exit(128 + byte[0])


@contextlib.contextmanager
def _never_ignored(told: Told) -> Iterator[None]:
    """Exit where Python ignores a signal's exception, such as in a destructor."""

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            return before(unraisable)
        _say(_how())
        os._exit(_code(told))

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _code(told: Told) -> int:
    return 128 + (told.number or signal.SIGINT)


def _say(line: str) -> None:
    """Print a line to the current standard error."""
    # A terminal's cursor is hidden while a bar moves.
    shown = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
    with contextlib.suppress(OSError, ValueError):
        print(f"{shown}fdl: {line}", file=sys.stderr, flush=True)
