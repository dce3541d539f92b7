"""Unpacked sizes of the pages of a Parquet file, from their headers.

Arrow trusts these headers, and allocates memory before it unpacks a page, whatever the
metadata at the end of the file declare. Headers are structures of Thrift's compact
protocol.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

_WINDOW = 1 << 20  # bytes of a header
_DEEPEST = 8  # levels of structures in a header
_DICTIONARY = 2  # number of this type of page
_TYPE, _UNPACKED, _PACKED = 1, 2, 3  # numbers of fields


class Page(NamedTuple):
    """A page.

    Attributes:
        unpacked: Bytes once unpacked.
        is_dictionary: Whether it holds the values that other pages refer to.
    """

    unpacked: int
    is_dictionary: bool


def pages(file: BinaryIO, column: Any) -> Iterator[Page]:
    """Yield the pages of a column.

    Args:
        file: The file.
        column: PyArrow's metadata of the column in a row group.

    Raises:
        ValueError: If a header is damaged.
    """
    start, dictionary = column.data_page_offset, column.dictionary_page_offset
    if dictionary is not None and 0 < dictionary < start:
        start = dictionary
    end = start + column.total_compressed_size
    while start < end:
        file.seek(start)
        header = _Header(file.read(_WINDOW))
        fields = header.struct()
        unpacked, packed = fields.get(_UNPACKED, -1), fields.get(_PACKED, -1)
        if min(unpacked, packed) < 0:
            raise ValueError("a page has no size")
        yield Page(unpacked, fields.get(_TYPE) == _DICTIONARY)
        start += header.place + packed


class _Header:
    """Bytes that begin with a structure of Thrift's compact protocol.

    Attributes:
        data: The bytes.
        place: Number of bytes read so far.
    """

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        self.data, self.place = data, 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Read a structure; return its integers by field number."""
        if depth > _DEEPEST:
            raise ValueError("the header of a page is nested too deeply")
        found: dict[int, int] = {}
        number = 0
        while kind := (first := self._byte()) & 15:
            number = number + (first >> 4) if first >> 4 else self._number()
            value = self._value(kind, depth)
            if value is not None:
                found[number] = value
        return found

    def _value(self, kind: int, depth: int) -> int | None:
        """Read a value of a type; return it if it is an integer."""
        if kind in (4, 5, 6):
            return self._number()
        if kind == 3:
            self._skip(1)
        elif kind == 7:
            self._skip(8)
        elif kind == 8:
            self._skip(self._varint())
        elif kind in (9, 10):
            self._list(depth)
        elif kind == 12:
            self.struct(depth + 1)
        elif kind not in (
            1,
            2,
        ):  # true and false have no more bytes; no header has maps
            raise ValueError("the header of a page is damaged")
        return None

    def _list(self, depth: int) -> None:
        first = self._byte()
        count = first >> 4 if first >> 4 < 15 else self._varint()
        if count > len(self.data):
            raise ValueError("the header of a page is damaged")
        kind = first & 15
        for _ in range(count):
            self._value(3 if kind in (1, 2) else kind, depth + 1)

    def _number(self) -> int:
        coded = self._varint()
        return coded >> 1 ^ -(coded & 1)

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise ValueError("the header of a page is damaged")

    def _byte(self) -> int:
        self._skip(1)
        return self.data[self.place - 1]

    def _skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self.data):
            raise ValueError("the header of a page is cut short")
