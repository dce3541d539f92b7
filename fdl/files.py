"""Atomic writing of files."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path | str, content: bytes | memoryview) -> None:
    """Write a file atomically: it has all of the new content or none of it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder, "a"), b"all of it")
        ...     Path(folder, "a").read_bytes()
        b'all of it'
    """
    path = Path(path)
    # The name is unique, so that several processes may write the same file at once.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
