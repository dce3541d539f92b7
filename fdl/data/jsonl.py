"""Texts in UTF-8, and lines of JSON, an object in each, within limits."""

import io
from pathlib import Path
from typing import Any

from fdl.arrays import DataError
from fdl.untrusted import parse_json, read_bytes

_MOST_BYTES = 1 << 27  # of a file; enwik8 fits
_LONGEST_LINE = 1 << 24  # characters


def read_text(path: Path) -> str:
    """Return a text, whose lines end as those of Python do.

    Raises:
        DataError: If the file cannot be read, is too large, or is no text in UTF-8.
    """
    try:
        content = io.BytesIO(read_bytes(path, _MOST_BYTES))
        return io.TextIOWrapper(content, "utf-8-sig").read()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}") from error


def read_members(path: Path, *names: str) -> list[list[Any]]:
    """Return the members of all objects in a file, a list for each name.

    Lines with nothing in them are passed over. The first name is that of a text.

    Raises:
        DataError: If the file cannot be read; or if a line is no object, lacks a
            member, or the first one is no text: says which line.
    """
    found: list[list[Any]] = [[] for _ in names]
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"it has more than {_LONGEST_LINE:,} characters")
            said = parse_json(line)
            for name, members in zip(names, found, strict=True):
                members.append(said[name])
            if not isinstance(said[names[0]], str):
                raise TypeError(f"{names[0]!r} is no text")
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path}: line {number} is no JSON object with a text {names[0]!r}"
                f"{''.join(f' and a member {name!r}' for name in names[1:])}: {error}"
            ) from error
    return found
