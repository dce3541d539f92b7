"""MIDI files: writing pieces of music, and reading them as frames."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from fdl.arrays import DataError
from fdl.data.music import KEYS, LOWEST, Roll
from fdl.files import write_whole

SECONDS = 0.3
"""Duration of a frame."""

_TICKS = 480  # in a frame, which is written as a quarter note
_LOUDNESS = 80
_MOST_BYTES, _MOST_FRAMES = 1 << 22, 100_000  # of a file that is read


def write_midi(path: Path | str, roll: Shaped[np.ndarray, "time 88"]) -> None:
    """Write a piece as a MIDI file; a key that sounds in consecutive frames is held.

    Args:
        path: The file.
        roll: Keys that sound in each frame, from A0 on.

    Example:
        >>> import tempfile
        >>> roll = np.eye(3, 88, k=39, dtype=np.uint8)  # C4, C#4, D4
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_midi(Path(folder) / "a.mid", roll)
        ...     bool((read_midi(Path(folder) / "a.mid") == roll).all())
        True
    """
    sounds = np.asarray(roll, bool)
    silence = np.zeros((1, sounds.shape[1]), bool)
    changes = np.diff(np.concatenate([silence, sounds, silence]).astype(int), axis=0)
    tempo = round(1e6 * SECONDS).to_bytes(3, "big")
    track, waited = bytearray(b"\x00\xff\x51\x03" + tempo), 0
    for change in changes:
        for key in np.flatnonzero(change):
            loudness = _LOUDNESS if change[key] > 0 else 0
            track += _number(waited) + bytes([0x90, LOWEST + key, loudness])
            waited = 0
        waited += _TICKS
    track += _number(waited - _TICKS) + b"\xff\x2f\x00"
    head = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, _TICKS)
    write_whole(path, head + struct.pack(">4sI", b"MTrk", len(track)) + bytes(track))


def read_midi(path: Path) -> Roll:
    """Return the keys that sound at each quarter note of a MIDI file.

    Args:
        path: The file, of format 0 or 1, with time in parts of a quarter note.

    Raises:
        DataError: If it is not such a file, or has no notes of a piano.
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MOST_BYTES else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    if data is None:
        raise DataError(f"{path}: {size:,} bytes; at most {_MOST_BYTES:,} are read.")
    try:
        notes, ticks = _notes(data)
    except (IndexError, struct.error) as error:
        raise DataError(f"{path}: not a MIDI file, or a damaged one.") from error
    if not notes:
        raise DataError(f"{path}: no notes of a piano.")
    ends = [round(end / ticks) for _, _, end in notes]
    if max(ends) > _MOST_FRAMES:
        raise DataError(f"{path}: longer than {_MOST_FRAMES:,} quarter notes.")
    roll = np.zeros((max(1, *ends), KEYS), np.uint8)
    for note, start, end in notes:
        first = round(start / ticks)
        roll[first : max(first + 1, round(end / ticks)), note - LOWEST] = 1
    return roll


def _notes(data: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Return number, start and end of each note in ticks, and ticks per quarter."""
    name, size, form, tracks, ticks = struct.unpack_from(">4sIHHH", data)
    if name != b"MThd" or size < 6 or form > 1 or not 0 < ticks < 1 << 15:
        raise IndexError
    at, found = 8 + size, []
    for _ in range(tracks):
        name, size = struct.unpack_from(">4sI", data, at)
        if name == b"MTrk":
            found += _track(data[at + 8 : at + 8 + size])
        at += 8 + size
    return found, ticks


def _track(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each note of a track, in ticks."""
    at = time = status = 0
    since: dict[int, int] = {}
    while at < len(data):
        wait, at = _read_number(data, at)
        time += wait
        if data[at] >= 0x80:
            status, at = data[at], at + 1
        if status in (0xFF, 0xF0, 0xF7):  # a meta event, or a system exclusive one
            at += status == 0xFF
            size, at = _read_number(data, at)
            at += size
            continue
        kind = status >> 4
        first, second = data[at], data[at + 1] if kind not in (0xC, 0xD) else 0
        at += 1 if kind in (0xC, 0xD) else 2
        if kind not in (0x8, 0x9) or not LOWEST <= first < LOWEST + KEYS:
            continue
        if first in since:
            yield first, since.pop(first), time
        if kind == 0x9 and second:
            since[first] = time


def _number(value: int) -> bytes:
    """Encode a number in as many bytes as it takes, seven bits in each.

    Example:
        >>> _number(480).hex()
        '8360'
    """
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(0x80 | value & 0x7F)
    return bytes(reversed(found))


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Decode such a number; return it and the position after it."""
    value = 0
    for place in range(at, at + 4):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    raise IndexError
