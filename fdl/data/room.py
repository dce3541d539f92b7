"""A limit on the memory that concurrent threads take together."""

import contextlib
import threading
from collections.abc import Iterator


class Room:
    """Lets threads run at the same time as long as there is room for all of them.

    Attributes:
        left: Room that is left.

    Example:
        >>> room = Room(100)
        >>> with room.taken(60):
        ...     room.left
        40
        >>> room.left
        100
    """

    def __init__(self, size: int) -> None:
        """Start with all room free."""
        self.left = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, share: int) -> Iterator[None]:
        """Wait until there is room for a share, at most all of it, and take it."""
        with self._changed:
            self._changed.wait_for(lambda: self.left >= share)
            self.left -= share
        try:
            yield
        finally:
            with self._changed:
                self.left += share
                self._changed.notify_all()
