"""Check that a PNG file has all pixels: Pillow fills in zeros for missing ones."""

import struct
import zlib
from collections.abc import Iterator

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # per pixel, by the type of color
_ONE_PASS = ((0, 0, 1, 1),)  # first column and row, steps between columns and rows
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_MOST_CHUNKS = 100_000
_STEP = 1 << 20  # bytes to unpack at a time


def require_whole(content: bytes) -> None:
    """Raise ValueError if the pixels of a PNG file end early.

    All other faults are left to the decoder.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("L", (30, 20)).save(file, "PNG")
        >>> require_whole(file.getvalue())
        >>> packed = dict(_chunks(file.getvalue()))[b"IDAT"]
        >>> less = zlib.compress(zlib.decompress(packed)[:-1])
        >>> require_whole(file.getvalue().replace(bytes(packed), less))
        Traceback (most recent call last):
        ...
        ValueError: it is cut short: it has 619 of 620 bytes of pixels
    """
    header, packed = b"", []
    for count, (kind, data) in enumerate(_chunks(content)):
        if count == _MOST_CHUNKS:
            raise ValueError(f"it has more than {_MOST_CHUNKS:,} chunks")
        if kind == b"IHDR":
            header = data
        elif kind == b"IDAT":
            packed.append(data)
        elif packed:
            break  # later chunks belong to another picture
    if len(header) != 13:
        return
    needed, found = _needed(header), 0
    unpacked = zlib.decompressobj()
    try:
        for data in packed:
            while found < needed:
                piece = unpacked.decompress(data, _STEP)
                found += len(piece)
                data = unpacked.unconsumed_tail
                if not data and len(piece) < _STEP:
                    break
    except zlib.error:
        return
    if found < needed:
        raise ValueError(
            f"it is cut short: it has {found:,} of {needed:,} bytes of pixels"
        )


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    place, whole = 8, memoryview(content)
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, whole[place + 8 : place + 8 + length]
        place += length + 12


def _needed(header: bytes | memoryview) -> int:
    """Return the number of bytes in the rows of all passes."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _SAMPLES.get(color, 0)
    needed = 0
    for left, top, across, down in _ADAM7 if interlaced else _ONE_PASS:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            needed += rows * (1 + -(-columns * bits // 8))
    return needed
