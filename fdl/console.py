"""Terminal output that never interrupts the work it reports on."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.segment import Segment
from rich.text import Text

from fdl.untrusted import visible

_NARROWEST = 80  # columns: with fewer, tables lose cells


class SteadyConsole(Console):
    r"""A console that survives closed pipes, and escapes control characters.

    When standard error can no longer be written, because the reader of a pipe is gone,
    the terminal is closed or the disk is full, further output is dropped and the work
    continues. Standard output carries results: there, the same failure is an error.

    Example:
        >>> SteadyConsole(file=io.StringIO()).render_str("a\x1b[31mb").plain
        'a\\x1b[31mb'
    """

    def on_broken_pipe(self) -> None:
        """Treat a broken pipe like any other error."""
        raise

    def __exit__(self, *error: Any) -> None:
        """Write the buffered output; drop it if standard error cannot be written."""
        try:
            super().__exit__(*error)
        except OSError:
            silence(self.file)
            with contextlib.suppress(OSError):  # empty the buffer before the next use
                super().__enter__()
                super().__exit__(None, None, None)
            if not self.stderr:
                raise

    @property
    def size(self) -> ConsoleDimensions:
        """Size of the terminal, but at least as wide as tables need."""
        width, height = super().size
        return ConsoleDimensions(max(width, _NARROWEST), height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
        """Yield the segments to print, with control characters escaped."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with control characters escaped, so that its width is right."""
        return super().render_str(visible(text), **options)


def silence(stream: Any) -> None:
    """Discard everything written to a stream from now on, so that no write fails."""
    with contextlib.suppress(OSError, AttributeError):  # not a file of the system
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def flush() -> None:
    """Flush standard output; after a failure, do not try again at exit.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
        raise


def steady_streams() -> None:
    """Keep printing from failing on an unencodable character or a closed stream.

    Characters that an encoding such as ASCII lacks are printed as escapes. Output to a
    stream that was closed before the process began, as by `2>&-`, is discarded: it must
    not end up in the next file that is opened.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
