"""What fdl says in a terminal or a file: saying it never ends what it is about."""

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

_NARROWEST = 80  # columns: in fewer, tables lose their cells


class SteadyConsole(Console):
    r"""A console whose reader may go, whose terminal may be narrow or know few letters.

    Where nothing more can be written to standard error, because the reader of a pipe
    has gone, the terminal is closed or the disk full, nothing more is said, and the
    work goes on. Standard output is where results go: there, it is an error.

    Example:
        >>> SteadyConsole(file=io.StringIO()).render_str("a\x1b[31mb").plain
        'a\\x1b[31mb'
    """

    def on_broken_pipe(self) -> None:
        """Treat a broken pipe as any other error."""
        raise

    def __exit__(self, *error: Any) -> None:
        """Write what was said, unless nobody can read it."""
        try:
            super().__exit__(*error)
        except OSError:
            silence(self.file)
            with contextlib.suppress(OSError):  # forget it, or it comes with the next
                super().__enter__()
                super().__exit__(None, None, None)
            if not self.stderr:
                raise

    @property
    def size(self) -> ConsoleDimensions:
        """The size of the terminal, or what a table needs."""
        width, height = super().size
        return ConsoleDimensions(max(width, _NARROWEST), height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
        """Return the parts of what is shown; none of them controls the terminal."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text, as wide as it will be shown."""
        return super().render_str(visible(text), **options)


def silence(stream: Any) -> None:
    """Send what is still written to a stream nowhere, so that it fails no more."""
    with contextlib.suppress(OSError, AttributeError):  # no file of the system
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def flush() -> None:
    """Write out what was printed; where that cannot be, do not try again at exit.

    Raises:
        OSError: If it cannot be.
    """
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
        raise


def steady_streams() -> None:
    """Let nothing that is printed fail for want of a letter or a stream.

    What an encoding such as ASCII lacks is printed as an escape. Where a stream was
    closed before the process began, as `2>&-` does, what is printed goes nowhere, and
    not into the next file that is opened.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
