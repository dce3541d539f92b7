"""Untrusted files, read within limits on their size, nesting and unpacked size.

Each limit is checked before memory is allocated. Faults are raised as a `ValueError`
(or an `OSError`) that does not name the file, since the caller does.
"""

import contextlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_JSON = 1 << 25
"""Most bytes of a JSON file; parsed, it takes up to 24 times as much memory."""

_MOST_PARTS = 100  # of a gzip file, which has one part unless it was concatenated
_MOST_DIRECTORY = 1 << 24  # bytes of a zip file's list of some 200,000 members
_MOST_DEPTH = 100
_LONGEST_NUMBER = 20  # digits; those of fdl's files fit into 64 bits
_SHORT = 200  # characters of a text in a message
_CONTROLS = re.compile(
    # Control characters other than tab and newline; direction marks; surrogates.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def read_bytes(path: Path | str, most: int) -> bytes:
    """Return the bytes of a file, unless it has more than `most`.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = Path(file.name).write_bytes(b"12345")
        ...     read_bytes(file.name, 4)
        Traceback (most recent call last):
        ...
        ValueError: it has more than 4 bytes
    """
    with Path(path).open("rb") as file:
        known = os.fstat(file.fileno()).st_size
        # A device or a pipe has no known size, so only reading tells.
        content = b"" if known > most else file.read(most + 1)
    if max(known, len(content)) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def read_text(path: Path | str, most: int = MOST_JSON) -> str:
    """Return the text of a UTF-8 file, unless it has more than `most` bytes."""
    return read_bytes(path, most).decode("utf-8")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON, with limits on nesting and on the digits of numbers.

    Example:
        >>> parse_json('{"a": [1, 2.5, null]}')
        {'a': [1, 2.5, None]}
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ...
        ValueError: it is nested too deeply
    """
    try:
        found = json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    require_shallow(found)
    return found


def require_shallow(tree: Any) -> None:
    """Raise ValueError if lists and dictionaries are nested more than 100 deep."""
    level = [tree]
    for _ in range(_MOST_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def gunzip(content: bytes, most: int) -> bytes:
    """Decompress a gzip file, unless its content has more than `most` bytes.

    Example:
        >>> import gzip
        >>> gunzip(gzip.compress(b"1234") + gzip.compress(b"5"), 5)
        b'12345'
        >>> gunzip(gzip.compress(bytes(10_000_000)), 100)
        Traceback (most recent call last):
        ...
        ValueError: it holds more than 100 bytes once unpacked
    """
    whole, rest = bytearray(), content
    for _ in range(_MOST_PARTS):
        part = zlib.decompressobj(wbits=31)
        try:
            whole += part.decompress(rest, most + 1 - len(whole))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(whole) > most:
            raise ValueError(f"it holds more than {most:,} bytes once unpacked")
        if not part.eof:
            raise ValueError("it is truncated")
        rest = part.unused_data.lstrip(b"\0")
        if not rest:
            return bytes(whole)
    raise ValueError(f"it concatenates more than {_MOST_PARTS} parts")


@contextlib.contextmanager
def opened_zip(path: Path | str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file, with a limit on its list of members."""
    with _DirectoryFirst(path) as file:
        archive = zipfile.ZipFile(file)
        file.most = None
        with archive:
            yield archive


def unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Return the content of a member of a zip file, at most `most` bytes."""
    if member.file_size > most:
        raise ValueError(
            f"{shortened(member.filename)!r} in it has {member.file_size:,} bytes once "
            f"unpacked, more than {most:,}"
        )
    with archive.open(member) as file:
        return file.read(member.file_size)  # no more, even if that is a lie


def reason(error: BaseException) -> str:
    r"""Return the message of a library's error as one short line, without a period.

    Example:
        >>> reason(ValueError("first\n  second.")), reason(MemoryError())
        ('first second', 'MemoryError')
        >>> reason(FileNotFoundError(2, "No such file or directory", "a.txt"))
        'no such file or directory'
    """
    said = str(error)
    if isinstance(error, OSError) and error.strerror:  # without number and file name
        said = error.strerror[:1].lower() + error.strerror[1:]
    message = " ".join(said.split()).rstrip(".")
    return shortened(message or type(error).__name__)


def visible(text: str) -> str:
    r"""Return a text for a terminal, with control characters escaped.

    Example:
        >>> visible("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    return _CONTROLS.sub(lambda found: _spelled(found[0]), text)


def shortened(text: str, most: int = _SHORT) -> str:
    """Shorten a long text for a message by leaving out its middle.

    Example:
        >>> shortened("a" * 1000, 20)
        'aaaaaaa ... aaaaaaaa'
    """
    if len(text) <= most:
        return text
    kept = most - 5
    return f"{text[: kept // 2]} ... {text[len(text) - (kept - kept // 2) :]}"


class _DirectoryFirst(io.FileIO):
    """A zip file whose list of members is read first, in one piece, within a limit."""

    most: int | None = _MOST_DIRECTORY

    def read(self, size: int | None = -1, /) -> Any:
        if self.most is None:
            return super().read(-1 if size is None else size)
        if size is None or not 0 <= size <= self.most:
            size = self.most + 1
        content = super().read(size)
        if len(content or b"") > self.most:
            raise zipfile.BadZipFile(
                f"its list of members has more than {self.most:,} bytes"
            )
        return content


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(
            f"the number {digits[:_LONGEST_NUMBER]}... has {len(digits)} digits, more "
            f"than {_LONGEST_NUMBER}"
        )
    return int(digits)
