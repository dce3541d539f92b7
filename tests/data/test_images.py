"""Images that users bring."""

import io

import numpy as np
import pytest
from PIL import Image

from fdl.data import DataError, read_images

SHAPE = (28, 28, 1)


@pytest.fixture
def digit():
    """A light cross on a dark ground, 28 by 28."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 255
    image[10:14, 6:22] = 204
    return image


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def read(path, **options):
    return read_images(path, SHAPE, **options)


def test_png_of_the_right_size_is_taken_as_it_is(tmp_path, digit) -> None:
    found = read(save(tmp_path / "a.png", digit))
    assert found.shape == (1, *SHAPE)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0, ..., 0], digit)


def test_dark_on_light_is_inverted(tmp_path, digit) -> None:
    found = read(save(tmp_path / "a.png", 255 - digit))
    np.testing.assert_array_equal(found[0, ..., 0], digit)


def test_polarity_can_be_given(tmp_path, digit) -> None:
    path = save(tmp_path / "a.png", 255 - digit)
    kept = read(path, polarity="light-on-dark")
    np.testing.assert_array_equal(kept[0, ..., 0], 255 - digit)
    path = save(tmp_path / "b.png", digit)
    inverted = read(path, polarity="dark-on-light")
    np.testing.assert_array_equal(inverted[0, ..., 0], 255 - digit)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1", "I;16"])
def test_every_kind_of_png(tmp_path, digit, mode) -> None:
    if mode == "I;16":
        picture = Image.fromarray(digit.astype(np.uint16) * 257)
    else:
        colour = Image.fromarray(digit).convert("RGB")
        picture = colour.convert(mode, dither=Image.Dither.NONE)
    picture.save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")[0, ..., 0].astype(int)
    tolerance = 60 if mode == "1" else 3  # one bit a pixel keeps no 204
    assert np.abs(found - digit).max() <= tolerance


def test_transparency_is_white(tmp_path, digit) -> None:
    rgba = np.zeros((28, 28, 4), np.uint8)
    rgba[..., 3] = digit  # black ink on nothing
    found = read(save(tmp_path / "a.png", rgba))
    np.testing.assert_array_equal(found[0, ..., 0], digit)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg(tmp_path, digit, suffix) -> None:
    path = save(tmp_path / f"a{suffix}", digit, format="JPEG", quality=95)
    assert np.abs(read(path)[0, ..., 0].astype(int) - digit).mean() < 5


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("size", [(56, 56), (300, 200), (14, 20), (29, 28)])
def test_any_size_is_resized(tmp_path, digit, size, ground) -> None:
    image = Image.fromarray(np.abs(ground - digit.astype(int)).astype(np.uint8))
    image.resize(size, Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")[0, ..., 0]
    assert found.shape == (28, 28)
    assert np.median(found) < 40, "padded with the background"
    assert found.max() > 150


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (1, 28, 28), (1, 28, 28, 1)])
def test_arrays(tmp_path, digit, kind, shape) -> None:
    array = digit if kind == np.uint8 else (digit / 255).astype(kind)
    np.save(tmp_path / "a.npy", array.reshape(shape))
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0, ..., 0], digit)


def test_an_array_of_several(tmp_path, digit) -> None:
    np.save(tmp_path / "a.npy", np.stack([digit, 255 - digit, digit.T]))
    found = read(tmp_path / "a.npy")[..., 0]
    np.testing.assert_array_equal(found, [digit, digit, digit.T])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 28, 28), np.uint8), r"uint8\[0, 28, 28\]"),
        (np.zeros((3, 28, 28, 3), np.uint8), r"uint8\[3, 28, 28, 3\]"),
        (np.zeros(784, np.uint8), r"uint8\[784\]"),
        (np.eye(28, dtype=np.int64), r"int64\[28, 28\]: use uint8"),
        (np.eye(28) * 255, "divide them"),
        (np.eye(28) * np.nan, "divide them"),
        (np.full((28, 28), 7, np.uint8), "nearly uniform"),
        (np.array([{"a": 1}], object), "cannot be read"),
    ],
)
def test_refuses_bad_arrays(tmp_path, array, message) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.npy")


def test_refuses_a_grey_background_and_says_how(tmp_path, digit) -> None:
    path = save(tmp_path / "a.png", np.where(digit > 0, 255, 128).astype(np.uint8))
    with pytest.raises(DataError, match="--polarity"):
        read(path)
    assert read(path, polarity="light-on-dark").shape == (1, *SHAPE)


def test_refuses_what_is_no_image(tmp_path, digit) -> None:
    buffer = io.BytesIO()
    Image.fromarray(digit).save(buffer, "png")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:60])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "a.tiff").write_bytes(b"II")
    for name, message in {
        "cut.png": "cannot be read",
        "text.png": "cannot be read",
        "empty.npy": "cannot be read",
        "a.tiff": "the ending '.tiff'",
        "absent.png": "is not a file",
    }.items():
        with pytest.raises(DataError, match=message) as caught:
            read(tmp_path / name)
        assert name in str(caught.value)


@pytest.mark.full_mnist
def test_no_image_of_the_data_sets_is_inverted(tmp_path, full_data_dir) -> None:
    from fdl import data

    for name in ("mnist", "fashion_mnist"):
        images = data.load(name, data_dir=full_data_dir).test.image[..., 0]
        np.save(tmp_path / "a.npy", images)
        np.testing.assert_array_equal(read(tmp_path / "a.npy")[..., 0], images)
