"""Images in users' files."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from fdl.data import DataError, read_images

SHAPE = (28, 28, 1)


@pytest.fixture
def digit():
    """A light cross on a dark background, 28 by 28."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 255
    image[10:14, 6:22] = 204
    return image


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def read(path, **options):
    return read_images(path, SHAPE, **options)


def test_png_of_the_right_size_is_not_changed(tmp_path, digit) -> None:
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
def test_every_mode_of_png(tmp_path, digit, mode) -> None:
    if mode == "I;16":
        picture = Image.fromarray(digit.astype(np.uint16) * 257)
    else:
        color = Image.fromarray(digit).convert("RGB")
        picture = color.convert(mode, dither=Image.Dither.NONE)
    picture.save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")[0, ..., 0].astype(int)
    tolerance = 60 if mode == "1" else 3  # one bit per pixel cannot represent 204
    assert np.abs(found - digit).max() <= tolerance


def test_transparency_is_white(tmp_path, digit) -> None:
    rgba = np.zeros((28, 28, 4), np.uint8)
    rgba[..., 3] = digit  # black ink on a transparent background
    found = read(save(tmp_path / "a.png", rgba))
    np.testing.assert_array_equal(found[0, ..., 0], digit)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg(tmp_path, digit, suffix) -> None:
    path = save(tmp_path / f"a{suffix}", digit, format="JPEG", quality=95)
    assert np.abs(read(path)[0, ..., 0].astype(int) - digit).mean() < 5


@pytest.mark.parametrize("background", [0, 255])
@pytest.mark.parametrize("size", [(56, 56), (300, 200), (14, 20), (29, 28)])
def test_images_of_any_size_are_resized(tmp_path, digit, size, background) -> None:
    image = Image.fromarray(np.abs(background - digit.astype(int)).astype(np.uint8))
    image.resize(size, Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")[0, ..., 0]
    assert found.shape == (28, 28)
    assert np.median(found) < 40, "padded with the background"
    assert found.max() > 150


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (1, 28, 28), (1, 28, 28, 1)])
def test_arrays_of_several_shapes_and_dtypes(tmp_path, digit, kind, shape) -> None:
    array = digit if kind == np.uint8 else (digit / 255).astype(kind)
    np.save(tmp_path / "a.npy", array.reshape(shape))
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0, ..., 0], digit)


def test_an_array_of_several_images(tmp_path, digit) -> None:
    np.save(tmp_path / "a.npy", np.stack([digit, 255 - digit, digit.T]))
    found = read(tmp_path / "a.npy")[..., 0]
    np.testing.assert_array_equal(found, [digit, digit, digit.T])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 28, 28), np.uint8), r"uint8\[0, 28, 28\]"),
        (np.zeros((3, 28, 28, 5), np.uint8), r"uint8\[3, 28, 28, 5\].*1, 3 or 4 chann"),
        (np.zeros(784, np.uint8), r"uint8\[784\]"),
        (np.eye(28, dtype=np.int64), r"int64\[28, 28\]: use uint8"),
        (np.eye(28, dtype=np.complex64), r"complex64\[28, 28\]: use uint8"),
        (np.eye(28) * 255, r"0.0 to 255.0: .*divide them .*such as 255"),
        (np.eye(28) * 2 - 1, r"-1.0 to 1.0: .*must lie in \[0, 1\]"),
        (np.eye(28) * np.nan, "divide them"),
        (np.full((28, 28), 7, np.uint8), "nearly uniform"),
        (np.array([{"a": 1}], object), "cannot be read as NumPy arrays"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, array, message) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.npy")


def test_the_axes_of_an_array_are_inferred(tmp_path, digit) -> None:
    color = np.stack([digit, digit // 2, digit], axis=-1)
    gray = np.asarray(Image.fromarray(color).convert("L"))
    clear = np.dstack([255 - color, digit])  # ink on a transparent background
    for array, images in [
        (color, [gray]),
        (color[None], [gray]),
        (np.stack([color, color]), [gray, gray]),
        (np.stack([color, color]).transpose(0, 3, 1, 2), [gray, gray]),
        (np.dstack([digit * 0, digit * 0, digit * 0, digit]), [digit]),
        (np.stack([digit, digit, digit]), [digit, digit, digit]),
        (digit > 128, [(digit > 128) * 255]),
        (np.asfortranarray((digit / 255).astype(">f8")), [digit]),
        (digit.reshape(28, 1, 28)[:, 0], [digit]),
    ]:
        np.save(tmp_path / "a.npy", array)
        found = read(tmp_path / "a.npy")
        np.testing.assert_array_equal(found[..., 0], images, str(array.shape))
    np.save(tmp_path / "a.npy", clear)
    assert read(tmp_path / "a.npy").shape == (1, *SHAPE)
    for array in (color, color.transpose(2, 0, 1), color[None]):
        np.save(tmp_path / "a.npy", array)
        found = read_images(tmp_path / "a.npy", (28, 28, 3))
        np.testing.assert_array_equal(found, color[None], str(array.shape))
    np.save(tmp_path / "a.npy", digit)
    found = read_images(tmp_path / "a.npy", (28, 28, 3))
    np.testing.assert_array_equal(found[0], np.dstack([digit] * 3))


def test_a_gray_background_is_refused_with_a_remedy(tmp_path, digit) -> None:
    path = save(tmp_path / "a.png", np.where(digit > 0, 255, 128).astype(np.uint8))
    with pytest.raises(DataError, match="--polarity"):
        read(path)
    assert read(path, polarity="light-on-dark").shape == (1, *SHAPE)


def test_files_other_than_images_are_refused(tmp_path, digit) -> None:
    buffer = io.BytesIO()
    Image.fromarray(digit).save(buffer, "png")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:60])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "a.tiff").write_bytes(b"II")
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(digit))
    np.save(tmp_path / "whole.npy", digit)
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-1])
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(28, 28)", b"(99999,)", 1))
    np.savez(tmp_path / "two.npz", image=digit, label=np.arange(3))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("text", "no array")
    for name, message in {
        "cut.png": "cannot be read",
        "text.png": "not that of a picture",
        "empty.npy": "not that of a picture",
        "a.tiff": "its suffix '.tiff' is ignored",
        "absent.png": "is not a file",
        "pickle.npy": "not that of a picture",
        "short.npy": r"declares uint8\[28, 28\], but holds 783 bytes",
        "huge.npy": r"declares uint8\[99999\], but holds 784",
        "two.npz": r"2 arrays \(image, label\)",
        "text.npz": "'text' in it is not an array",
    }.items():
        with pytest.raises(DataError, match=message) as caught:
            read(tmp_path / name)
        assert name in str(caught.value)


def test_the_format_is_detected_from_the_content(tmp_path, digit) -> None:
    np.savez(tmp_path / "a.npz", image=digit)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0, ..., 0], digit)
    save(tmp_path / "a.jpg", digit, format="PNG")
    np.testing.assert_array_equal(read(tmp_path / "a.jpg")[0, ..., 0], digit)


@pytest.mark.parametrize("size", [(10, 1000), (1000, 10), (1, 3000), (9000, 1)])
def test_a_narrow_strip_does_not_vanish(tmp_path, size) -> None:
    strip = np.zeros(size, np.uint8)
    rows, columns = size
    strip[rows // 4 : -(rows // 4) or None, columns // 4 : -(columns // 4) or None] = (
        255
    )
    assert read(save(tmp_path / "a.png", strip)).max() > 100


def test_an_image_that_vanishes_when_scaled_down_is_refused(tmp_path) -> None:
    hair = np.zeros((3000, 3000), np.uint8)
    hair[10:2990, 1500] = 255
    with pytest.raises(DataError, match="3000x3000, and nothing is left of it in 28x2"):
        read(save(tmp_path / "a.png", hair))


@pytest.mark.full_mnist
def test_no_image_of_the_datasets_is_inverted(tmp_path, full_data_dir) -> None:
    from fdl import data

    for name in ("mnist", "fashion_mnist"):
        images = data.load(name, data_dir=full_data_dir).test.image[..., 0]
        np.save(tmp_path / "a.npy", images)
        np.testing.assert_array_equal(read(tmp_path / "a.npy")[..., 0], images)
