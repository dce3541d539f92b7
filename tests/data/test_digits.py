"""Finding digits in photographs, and framing them like those of MNIST."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fdl import data
from fdl.data import DataError, read_images, read_images_like
from fdl.data.digits import frame_digit
from photographs import photograph

SIZE = (28, 28)
SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def digits():
    train, _, test, *_ = data.load("mnist-5k")
    return train, test


def nearest_neighbor_classes(images: np.ndarray, known: data.Dataset) -> np.ndarray:
    """Return the class of each image's nearest neighbor among known images."""
    points, others = (
        x.reshape(len(x), -1).astype(np.float32) for x in (images, known.image)
    )
    distance = np.sum(others**2, axis=1) - 2 * points @ others.T
    return known.label[distance.argmin(axis=1)]


def test_framing_makes_photographs_recognizable(tmp_path, digits) -> None:
    """The nearest neighbor classifies most framed photographs, but few padded ones."""
    train, test = digits
    found = {"digit": [], "pad": []}
    kinds = ("ink", "chalk", "shadow", "ink")
    for seed, digit in enumerate(test.image[:100, ..., 0]):
        kind = kinds[seed % 4]
        polarity = "light-on-dark" if kind == "chalk" else "dark-on-light"
        file = tmp_path / "photo.bmp"
        Image.fromarray(photograph(digit, seed, kind)).save(file)
        for fit, images in found.items():
            known = {} if fit == "digit" else {"polarity": polarity}
            images.append(read_images(file, SHAPE, fit=fit, **known)[0])
    right = {
        fit: nearest_neighbor_classes(np.stack(images), train) == test.label[:100]
        for fit, images in found.items()
    }
    assert right["pad"].mean() <= 0.35
    for kind in range(4):
        assert right["digit"][kind::4].mean() >= 0.76, kinds[kind]
    assert right["digit"].mean() >= 0.85


def test_images_of_the_right_size_are_not_framed(tmp_path, digits) -> None:
    images = digits[1].image[:50]
    for array in (images, 255 - images):
        np.save(tmp_path / "a.npy", array)
        found = read_images(tmp_path / "a.npy", SHAPE, fit="digit")
        np.testing.assert_array_equal(found, images)


def test_framed_digits_have_the_size_and_center_of_mnist(digits) -> None:
    for seed, digit in enumerate(digits[1].image[:12, ..., 0]):
        framed = frame_digit(photograph(digit, seed), SIZE)
        rows, columns = (np.flatnonzero(framed.max(axis=k) > 60) for k in (1, 0))
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 17 <= longest <= 22
        assert np.abs(np.subtract(ndimage.center_of_mass(framed), 14)).max() < 1
        assert framed.max() == 255
        assert framed[0].max() == 0


def test_thin_strokes_are_thickened() -> None:
    paper = np.full((400, 300), 200, np.uint8)
    paper[50:350, 150:153] = 40
    framed = frame_digit(paper, SIZE)
    assert 2 <= (framed[14] > 127).sum() <= 4
    paper[50:350, 120:180] = 40  # a wide stroke stays as it is
    assert 3 <= (frame_digit(paper, SIZE)[14] > 127).sum() <= 5


def test_polarity_can_be_given() -> None:
    cross = np.full((100, 100), 128, np.uint8)
    cross[20:80, 46:54], cross[46:54, 20:80] = 230, 30
    dark, light = (frame_digit(cross, SIZE, dark=dark) for dark in (True, False))
    assert (dark[14] > 127).sum() > 15 > (dark[:, 14] > 127).sum()
    assert (light[:, 14] > 127).sum() > 15 > (light[14] > 127).sum()


def test_noise_and_color_are_refused(tmp_path) -> None:
    noise = np.random.default_rng(0).integers(100, 156, (200, 200)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    with pytest.raises(DataError, match=r"noise\.png shows no digit: .* --fit pad"):
        read_images(tmp_path / "noise.png", SHAPE, fit="digit")
    with pytest.raises(DataError, match="fit='digit' makes gray images, not 3 chan"):
        read_images(tmp_path / "noise.png", (32, 32, 3), fit="digit")


def test_a_wide_image_is_cropped_or_padded(tmp_path) -> None:
    image = np.zeros((20, 60), np.uint8)
    image[:, 20:40], image[:10, 20:40], image[:, 40:] = 200, 250, 100
    Image.fromarray(image).save(tmp_path / "a.png")
    read = lambda fit: read_images(
        tmp_path / "a.png", (12, 12, 1), fit=fit, polarity="light-on-dark"
    )[0, ..., 0]
    assert (read("crop")[:, 2:-2] > 180).all()
    np.testing.assert_allclose(read("pad")[7, 1::4], [0, 200, 100], atol=9)
    assert (read("pad")[0] == 50).all(), "the median of the corners"


def test_the_default_fit_is_that_of_the_dataset(tmp_path, digits) -> None:
    """By default, digits are framed only for datasets that are framed like MNIST."""
    photo = photograph(digits[1].image[3, ..., 0], 3)
    Image.fromarray(photo).save(tmp_path / "a.png")
    file, info = tmp_path / "a.png", data.load("mnist-5k").info
    infos = {"mnist-5k": info, "mine": data.from_arrays(*digits[1]).info}
    infos["fashion_mnist"] = info._replace(fit="pad")
    like = lambda name, **settings: read_images_like(file, infos[name], **settings)
    plain = lambda **settings: read_images(file, SHAPE, **settings)
    equal = np.testing.assert_array_equal
    equal(like("mnist-5k"), plain(fit="digit"))
    image, label = digits[1]
    np.savez(tmp_path / "d.npz", image=image[:40], label=label[:40] % 2)
    framed = data.load(f"npz:{tmp_path}/d.npz?fit=digit").info
    equal(read_images_like(file, framed), plain(fit="digit"))
    equal(like("mnist-5k", fit="pad"), plain())
    equal(like("mnist-5k", fit="crop"), plain(fit="crop"))
    equal(like("fashion_mnist"), plain())
    equal(like("mine"), plain(polarity="light-on-dark"))
    equal(like("mine", polarity="dark-on-light"), plain(polarity="dark-on-light"))
