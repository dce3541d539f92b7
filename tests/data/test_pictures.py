"""Picture files of every format, intact and damaged."""

import concurrent.futures
import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from fdl.data import DataError
from fdl.data.pictures import decode_picture, of_few_pixels, read_picture
from fdl.data.room import Room

RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.fixture
def arrow():
    """Gray values, 16x24, that differ in every rotation and reflection."""
    rows, columns = np.mgrid[:16, :24]
    return (8 * rows + 5 * columns).astype(np.uint8)


def content(picture, kind="png", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: bytes, *more: bytes) -> bytes:
    """Return EXIF data with an orientation and other entries, each of 12 bytes."""
    entries = (struct.pack("<HHI", 0x112, 3, 1) + orientation, *more)
    count = struct.pack("<H", len(entries))
    ends = struct.pack("<I", 0) + struct.pack("<ii", -1, 0)
    return b"Exif\0\0II*\0\x08\0\0\0" + count + b"".join(entries) + ends


UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.T,
    6: lambda x: x.T[:, ::-1],
    7: lambda x: x[::-1, ::-1].T,
    8: lambda x: x.T[::-1],
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(arrow, orientation) -> None:
    tag = struct.pack("<HH", orientation, 0)
    data = content(Image.fromarray(arrow), exif=exif(tag))
    found = decode_picture(data, 1, name="a")[..., 0]
    np.testing.assert_array_equal(found, UPRIGHT[orientation](arrow))


SIDEWAYS = struct.pack("<HH", 6, 0)


@pytest.mark.parametrize(
    ("data", "turn"),
    [
        # A resolution of -1/0, which cannot be written again; offsets far outside.
        (exif(SIDEWAYS, struct.pack("<HHII", 0x11A, 10, 1, 38)), 6),
        (exif(SIDEWAYS, struct.pack("<HHII", 0x11A, 5, 1, 2**31)), 6),
        (exif(SIDEWAYS, struct.pack("<HHII", 0x8769, 4, 1, 2**31)), 6),
        (exif(SIDEWAYS)[:20], 1),
        (b"Exif\0\0II*\0" + struct.pack("<I", 2**32 - 1), 1),
        (b"Exif\0\0" + b"\xff" * 40, 1),
        (b"Exif\0\0", 1),
        (exif(struct.pack("<HH", 9, 0)), 1),
        (exif(struct.pack("<HH", 0, 0)), 1),
    ],
)
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_damaged_exif_does_no_harm(arrow, kind, data, turn) -> None:
    # Written by hand, since Pillow would repair it.
    options = {"quality": 95} if kind == "jpeg" else {"lossless": True}
    found = decode_picture(
        content(Image.fromarray(arrow), kind, exif=data, **options), 1, name="a"
    )
    wanted = UPRIGHT[turn](arrow).astype(int)
    assert found.shape[:2] == wanted.shape
    assert np.abs(found[..., 0] - wanted).mean() < 3


def animation():
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    return content(red, "gif", save_all=True, append_images=[blue])


def plain(mode, color):
    return Image.new(mode, (4, 4), color)


@pytest.mark.parametrize(
    ("data", "color"),
    [
        (content(plain("RGB", RED)), RED),
        (content(plain("RGB", RED), "bmp"), RED),
        (content(plain("RGB", RED), "gif"), RED),
        (content(plain("RGB", RED), "webp", lossless=True), RED),
        (content(plain("CMYK", (0, 255, 255, 0)), "jpeg"), RED),
        (content(plain("RGBA", (*RED, 255))), RED),
        (content(plain("RGBA", (*RED, 0))), WHITE),
        (content(plain("RGBA", (*RED, 128))), (255, 127, 127)),
        (content(plain("LA", (0, 0))), WHITE),
        (content(plain("RGB", RED).quantize(2)), RED),
        (content(plain("P", 0), transparency=0), WHITE),
        (content(plain("P", 0), transparency=b"\0\0"), WHITE),
        (content(plain("RGB", RED), transparency=RED), WHITE),
        (content(plain("L", 9), transparency=9), WHITE),
        (content(plain("1", 1)), WHITE),
        (content(plain("I;16", 200 * 257)), (200, 200, 200)),
        (animation(), RED),
    ],
)
def test_color(data, color) -> None:
    found = decode_picture(data, 3, name="a")
    assert found.dtype == np.uint8
    assert found.shape == (4, 4, 3)
    assert np.abs(found.astype(int) - color).max() <= 2
    gray = decode_picture(data, 1, name="a")
    assert gray.shape == (4, 4, 1)
    luma = np.dot(color, [0.299, 0.587, 0.114])
    assert np.abs(gray.astype(float) - luma).max() <= 2


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "bmp"])
def test_a_damaged_file_is_refused_by_its_name(kind) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    whole = content(Image.fromarray(noise), kind)
    for length in (0, 1, 5, 30, len(whole) // 2, len(whole) * 7 // 8):
        with pytest.raises(DataError, match=r"my\.file cannot be read"):
            decode_picture(whole[:length], 1, name="my.file")


def test_damage_anywhere_gives_a_picture_or_a_data_error(arrow) -> None:
    rng = np.random.default_rng(0)
    for kind in ("png", "jpeg", "gif", "webp", "bmp"):
        whole = content(Image.fromarray(arrow), kind)
        for place in rng.integers(0, len(whole), 60):
            data = bytearray(whole)
            data[place] ^= int(rng.integers(1, 256))
            try:
                found = decode_picture(bytes(data), 1, name="a")
            except DataError:
                continue
            assert found.dtype == np.uint8


def test_too_many_pixels_are_refused_before_decoding() -> None:
    data = bytearray(content(Image.new("1", (8, 8))))
    for side in (10_000, 60_000):  # Pillow warns of the one, and refuses the other
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        with pytest.raises(DataError, match="has more than 50,000,000 pixels"):
            decode_picture(bytes(data), 1, name="bomb.png")


def test_threads_together_decode_at_most_the_pixels_of_one_picture() -> None:
    room, together, most = Room(100), [0], []

    def decode(pixels: int) -> None:
        with room.taken(pixels):
            together[0] += pixels
            most.append(together[0])
            time.sleep(0.001)
            together[0] -= pixels

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [60, 60, 30, 100, 30, 30, 1, 99] * 5))
    assert 60 < max(most) <= 100
    assert room.left == 100


def test_the_pixel_limit_also_holds_for_other_libraries() -> None:
    data, usual = bytearray(content(Image.new("1", (8, 8)))), Image.MAX_IMAGE_PIXELS
    data[16:24] = struct.pack(">II", 7_100, 7_100)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with of_few_pixels(), pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    assert usual == Image.MAX_IMAGE_PIXELS


def test_missing_files_and_folders_are_refused(tmp_path) -> None:
    for path in (tmp_path, tmp_path / "absent.png"):
        with pytest.raises(DataError, match="cannot be read"):
            read_picture(path, 1)
