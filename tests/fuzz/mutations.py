"""Random changes of files, from a seed: of their bytes, or of values in JSON."""

import json
import random
from typing import Any

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)
_STRANGE = (
    *(None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, 10**400, 1e308, float("nan")),
    *("", "a", "\x1b[31m", "a" * 1000, "os.system", [], {}, [[]], [0, -1], {"a": {}}),
)


def bytes_of(content: bytes, draw: random.Random) -> bytes:
    """Return content with some bytes changed, deleted or duplicated."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        if not changed:
            break
        place = draw.randrange(len(changed))
        length = draw.choice((1, 1, 2, 4, 8, 64))
        match draw.randrange(7):
            case 0:
                changed[place] ^= 1 << draw.randrange(8)
            case 1:
                changed[place] = draw.choice(_NUMBERS)
            case 2:
                changed[place : place + length] = draw.randbytes(length)
            case 3:
                changed[place : place + length] = b"\xff" * length
            case 4:
                del changed[place : place + length]
            case 5:
                changed[place:place] = changed[place : place + length]
            case 6:
                del changed[place:]
    return bytes(changed)


def json_of(content: bytes, draw: random.Random) -> bytes:
    """Return JSON with some values changed, deleted or deeply nested."""
    if draw.random() < 0.3:
        return bytes_of(content, draw)
    value = json.loads(content)
    for _ in range(draw.choice((1, 1, 2, 4))):
        value = _changed(value, draw)
    return json.dumps(value).encode()


def lines_of(content: bytes, draw: random.Random) -> bytes:
    """Return lines of JSON, one of them changed."""
    lines = content.split(b"\n")
    number = draw.randrange(len(lines) - 1)
    lines[number] = json_of(lines[number], draw)
    return b"\n".join(lines)


def _changed(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict | list) and value and draw.random() < 0.9:
        places = list(value) if isinstance(value, dict) else range(len(value))
        place, copy = draw.choice(places), value.copy()
        if draw.random() < 0.1:
            del copy[place]
        else:
            copy[place] = _changed(value[place], draw)
        return copy
    if draw.random() < 0.05:
        deep: Any = value
        for _ in range(draw.choice((5, 200))):
            deep = [deep]
        return deep
    return draw.choice(_STRANGE)
