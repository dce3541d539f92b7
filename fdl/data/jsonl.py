"""Lines of JSON, an object in each."""

import json
from pathlib import Path
from typing import Any

from fdl.arrays import DataError


def read_members(path: Path, *names: str) -> list[list[Any]]:
    """Return the members of all objects in a file, a list for each name.

    Lines with nothing in them are passed over. The first name is that of a text.

    Raises:
        DataError: If the file cannot be read; or if a line is no object, lacks a
            member, or the first one is no text: says which line.
    """
    found: list[list[Any]] = [[] for _ in names]
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            for name, members in zip(names, found, strict=True):
                members.append(said[name])
            if not isinstance(said[names[0]], str):
                raise TypeError(f"{names[0]!r} is no text")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(
                f"{path}: line {number} is no JSON object with a text {names[0]!r}"
                f"{''.join(f' and a member {name!r}' for name in names[1:])}: {error}"
            ) from error
    return found
