"""UTF-8 text files and JSON Lines files, read within limits."""

from pathlib import Path
from typing import Any

from fdl.arrays import DataError
from fdl.untrusted import parse_json, read_bytes, reason

_MOST_BYTES = 1 << 27  # of a file; enwik8 fits
_LONGEST_LINE = 1 << 24  # characters


def read_text(path: Path) -> str:
    r"""Return a text, with all line ends as `\n`.

    Raises:
        DataError: If the file cannot be read, is too large, or is not UTF-8 text.
    """
    try:
        content = read_bytes(path, _MOST_BYTES)
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} cannot be read as text in UTF-8: line {line} has the byte "
            f"{error.object[error.start]:#04x}, {error.reason}: save it in UTF-8."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as text in UTF-8: {reason(error)}."
        ) from error


def read_members(path: Path, *names: str, texts: int = 1) -> list[list[Any]]:
    """Return members of all JSON objects in a file, as a list for each name.

    Empty lines are ignored.

    Args:
        path: The file.
        names: Names of the members.
        texts: Number of members, from the first on, that must be texts; if more than
            one, none may be empty.

    Raises:
        DataError: If the file cannot be read, or a line is not an object, lacks a
            member, or has another value in place of a text; names the line.
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
                if not isinstance(said, dict) or name not in said:
                    raise ValueError(f"it has no {name!r}")
                members.append(said[name])
            for name in names[:texts]:
                if not isinstance(said[name], str):
                    raise TypeError(f"{name!r} is not a text")
                if texts > 1 and not said[name].strip():
                    raise ValueError(f"{name!r} is empty")
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{path}: line {number} is not a JSON object with a text {names[0]!r}"
                f"{''.join(f' and a member {name!r}' for name in names[1:])}: {error}."
            ) from error
    return found
