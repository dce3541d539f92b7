"""Small files that declare or unpack to a lot of data."""

import struct
import zlib


def deflated(mib: int) -> bytes:
    """Return `mib` MiB of zeros, deflated to a thousandth of that."""
    packer = zlib.compressobj(9, wbits=-15)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return one * mib + packer.flush()


def gzipped(mib: int) -> bytes:
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated(mib) + struct.pack("<II", 0, 0)


def zipped(name: bytes, mib: int, declared: int | None = None) -> bytes:
    """Return a zip file with one member of zeros."""
    packed = deflated(mib)
    size = mib << 20 if declared is None else declared
    about = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, 0, len(packed), size)
    local = b"PK\3\4" + about + struct.pack("<HH", len(name), 0) + name
    listed = b"PK\1\2\x14\0" + about + struct.pack("<HHHHHII", len(name), *[0] * 6)
    listed += name
    place = len(local) + len(packed)
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), place, 0)
    return local + packed + listed + b"PK\5\6" + end


def png(
    width: int, height: int, pixels: bytes, color: int = 0, chunks: int = 0
) -> bytes:
    """Return a PNG file with the given pixel data and `chunks` empty chunks."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"abCd", b"") * chunks
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def npy(header: str, data: bytes = b"") -> bytes:
    """Return a .npy file with the given header, valid or not."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def header(shape: str, kind: str = "|u1") -> str:
    return f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}}}"
