"""Hostile data files are refused in one sentence, before memory is allocated."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bombs import gzipped, header, npy, png, zipped
from PIL import Image

from bounds import refused
from fdl import data
from fdl.arrays import DataError
from fdl.data import idx, parquet_columns, parquet_rows, pictures, table
from fdl.data.catalog import CATALOG


def jpeg(**options) -> bytes:
    file = io.BytesIO()
    draw = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    Image.fromarray(draw).save(file, "JPEG", **options)
    return file.getvalue()


def scans(count: int) -> bytes:
    """Return a JPEG file that declares 49 megapixels and `count` more scans of them."""
    content = bytearray(jpeg(progressive=True))
    frame = content.index(b"\xff\xc2")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 7000, 7000)
    return bytes(content[:-2]) + b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0" * count


def zip_of(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return file.getvalue()


def directory(count: int) -> bytes:
    """Return a zip file with nothing but a list of `count` members."""
    one = b"PK\1\2" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a"
    size = len(one) * count
    return one * count + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 9, 9, size, 0, 0)


IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[8:20, 12:16] = 255
# Large files are made in their tests.
PREDICTED = {
    "pixels.png": (png(13_377, 13_377, b"", 6), "more than 50,000,000 pixels"),
    "cut.png": (png(28, 28, bytes(28 * 28)), "cut short: it has 784 of 812 bytes"),
    "chunks.png": (png(9, 9, bytes(99), chunks=10_000), "more than 20,000 pieces"),
    "scans.jpg": (scans(60), r"\d+ scans, more than its size allows"),
    "fill.jpg": (b"\xff\xd8" + b"\xff" * 60_000, "more than 20,000 pieces"),
    "shape.npy": (npy(header("(10**12,)")), "cannot be read"),
    "large.npy": (npy(header("(1000000000000,)")), "declares uint8.*holds 0 bytes"),
    "empty.npy": (npy(header("(1000000000000,)", "<U0")), "only numbers and texts"),
    "below.npy": (npy(header("(-2, -2)"), bytes(4)), r"declares uint8\[-2, -2\]"),
    "open.npy": (npy("{'descr': " + "(" * 3000), "cannot be read"),
    "deep.npy": (npy("(" * 900 + ")" * 900), "cannot be read"),
    "object.npy": (npy(header("(1,)", "|O"), b"cos\nsystem\n"), "only numbers"),
    "many.npy": (lambda: npy(header("(2000000, 2, 2)"), bytes(8 * 10**6)), "at most 1"),
    "zip.npy": (zip_of(text=b"no array"), "'text' in it is not an array"),
    "zip.npz": (zip_of(a_npz=zip_of(a_npy=npy(header("()")))), "'a.npz' in it is no"),
    "bomb.npz": (zipped(b"a.npy", 400), "419,430,400 bytes once unpacked, more than"),
    "liar.npz": (zipped(b"a.npy", 400, 64), "cannot be read"),
    "list.npz": (lambda: directory(400_000), "list of members has more than"),
}  # fmt: skip


@pytest.mark.parametrize("name", PREDICTED)
def test_pictures_and_arrays_are_refused(tmp_path, name, monkeypatch) -> None:
    monkeypatch.setattr(pictures, "_MOST_READS", 20_000)  # ten times faster
    content, words = PREDICTED[name]
    file = tmp_path / name
    file.write_bytes(content() if callable(content) else content)
    with refused(DataError, words):
        data.read_images(file, (28, 28, 1))
    if name.endswith("npz"):
        with refused(DataError, words):
            data.load(f"npz:{file}")


def test_damaged_exif_does_no_harm(tmp_path) -> None:
    exif = (
        b"Exif\0\0MM\0*\0\0\0\x08\0\3\1\x0e\0\2\0\0\0\6\0\0\0\x32"
        b"\1\x12\0\3\0\0\0\1\0\6\0\0\1\x0a\0\5\0\0\0\1\0\0\0\x38hello\0"
    )
    image = pictures.decode_picture(jpeg(exif=exif), 3, name="a.jpg")
    assert image.shape == (28, 28, 3)


GZIPPED = {
    "bomb": (lambda: gzipped(6_000), "more than 47,040,016 bytes once unpacked"),
    "parts": (
        lambda: gzip.compress(b"") * 200_000,
        "concatenates more than 100 parts",
    ),
    "cut": (lambda: gzip.compress(bytes(1000))[:-9], "truncated"),
}


@pytest.mark.parametrize("name", GZIPPED)
def test_gzip_files_are_refused(tmp_path, name) -> None:
    make, words = GZIPPED[name]
    content = make()
    for file in idx.FILES:
        (tmp_path / f"{file}.gz").write_bytes(content)
    with refused(DataError, words, mib=256):
        idx.read(CATALOG["mnist"], tmp_path)


def of_size(size: int):
    """Return a function that writes a sparse file."""

    def write(file) -> None:
        with file.open("wb") as opened:
            opened.truncate(size)

    return write


def line(form: str = "{}"):
    """Return a function that writes a long line."""
    return lambda file: file.write_text(form.replace("{}", "a" * (1 << 24) + "b"))


TEXTS = {
    "csv:size": (of_size(1 << 30), "more than 134,217,728 bytes"),
    "csv:line": (line(), "a line has more than 16,777,216 characters"),
    "csv:columns": (",".join(map(str, range(100_001))), "100,001 columns"),
    "csv:cell": ("a,b\n1," + "2" * 200_000, "field larger than field limit"),
    "csv:different": ("a\n1\n2\n3\n4\n5\n", "more than 4 different cells"),
    "csv:ragged": ("a,b\n1\n", "row 1 has 1 cells, but the header has 2"),
    "text:size": (of_size(1 << 30), "more than 134,217,728 bytes"),
    "jsonl:size": (of_size(1 << 30), "more than 134,217,728 bytes"),
    "jsonl:line": (line('{"text": "{}"}'), "line 1 .*more than 16,777,216 char"),
    "jsonl:deep": ("[" * 100_000, "line 1 .*nested too deeply"),
    "jsonl:shallow": ('{"text": ' + "[" * 150 + "]" * 150 + "}", "too deeply"),
    "jsonl:digits": ('{"text": ' + "1" * 400 + "}", "has 400 digits"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_tables_and_texts_are_refused(tmp_path, name, monkeypatch) -> None:
    monkeypatch.setattr(table, "_MOST_KNOWN", 3)
    monkeypatch.setattr(table, "_MOST_OTHERS", 1)
    content, words = TEXTS[name]
    file = tmp_path / "a"
    content(file) if callable(content) else file.write_text(content)
    line = f"{name.split(':')[0]}:{file}"
    with refused(DataError, words, mib=256):
        data.load(f"{line}?target=a" if "csv" in line else line)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([b""] * 200_001, "declares 200,001 rows in"),
        ([bytes(1 << 24)], r"16,77\d,\d+ bytes once unpacked, more than 1,048,576"),
        ([bytes(1 << 15)] * 99, "its rows repeat one value too often"),
    ],
)
def test_parquet_files_are_refused(tmp_path, images, words, monkeypatch) -> None:
    monkeypatch.setattr(parquet_rows, "_SMALL", 1 << 20)
    table = pyarrow.table({"image": images, "label": [0] * len(images)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    with refused(DataError, words):
        data.load(f"hf:{tmp_path / 'a.parquet'}")


def test_parquet_files_that_declare_too_little_are_refused(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(parquet_rows, "_SMALL", 1 << 20)
    file = tmp_path / "a.parquet"
    table = pyarrow.table({"image": [bytes(1 << 24)], "label": [0]})
    options = {"use_dictionary": False, "write_statistics": False}
    pyarrow.parquet.write_table(table, file, compression="zstd", **options)
    metadata = pyarrow.parquet.read_metadata(file)
    declared = metadata.row_group(0).column(0).total_uncompressed_size
    content = file.read_bytes()
    assert content.count(varint(declared)) == 1
    less = varint(100, len(varint(declared)))
    file.write_bytes(content.replace(varint(declared), less))
    with refused(DataError, r"16,77\d,\d+ bytes once unpacked, more than 1,048,576"):
        data.load(f"hf:{file}")


def varint(number: int, size: int = 0) -> bytes:
    """Return a number as a varint of Thrift, padded to `size` bytes."""
    coded = bytearray()
    rest = 2 * number
    while rest > 127 or len(coded) + 1 < size:
        coded.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*coded, rest])


def test_parquet_files_of_many_columns_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parquet_columns, "_MOST_COLUMNS", 1000)
    table = pyarrow.table({f"c{k}": [0] for k in range(1001)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with refused(DataError, "cannot be read as Parquet"):
        data.load(f"hf:{tmp_path / 'a.parquet'}")
