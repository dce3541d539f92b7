"""A progress bar for slow loops in a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")

_PATIENCE = 1.0  # seconds without a bar


def watched(items: Iterable[_T], total: int, title: str) -> Iterator[_T]:
    """Yield items; after a second, show a progress bar on standard error.

    Nothing is shown unless standard error is a terminal.

    Example:
        >>> list(watched("abc", 3, "letters"))
        ['a', 'b', 'c']
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import Progress

    from fdl.console import SteadyConsole

    started = time.perf_counter()
    with Progress(console=SteadyConsole(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, visible=False)
        for item in items:
            yield item
            late = time.perf_counter() - started > _PATIENCE
            bar.update(task, advance=1, visible=late)
