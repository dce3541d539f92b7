"""Detection of images that are unlike those of a dataset."""

import numpy as np
import pytest

from fdl import data
from fdl.data import DataError, novelty_detector


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist-5k")


@pytest.fixture(scope="module")
def detector(digits):
    return novelty_detector(digits.train.image, digits.validation.image)


def test_few_images_of_the_dataset_are_flagged(digits, detector) -> None:
    assert detector.novelty(digits.train.image).mean() == pytest.approx(1, abs=0.05)
    assert detector.unlike(digits.validation.image).mean() == pytest.approx(
        0.01, abs=2e-3
    )
    assert detector.unlike(digits.test.image).mean() < 0.03
    floats = digits.test.image[:9].astype(np.float32) / 255
    np.testing.assert_allclose(
        detector.novelty(floats), detector.novelty(digits.test.image[:9]), rtol=1e-4
    )


def test_most_other_images_are_flagged(digits, detector) -> None:
    image = digits.test.image
    rng = np.random.default_rng(0)
    others = {
        "negative": 255 - image,
        "noise": rng.integers(0, 256, (100, 28, 28, 1)).astype(np.uint8),
        "shuffled pixels": rng.permuted(image.reshape(1000, -1), axis=1).reshape(
            image.shape
        ),
        "rolled": np.roll(image, 9, axis=2),
    }
    for name, images in others.items():
        assert detector.unlike(images).mean() > 0.75, name


def test_the_rate_sets_the_threshold(digits) -> None:
    images = digits.train.image, digits.validation.image
    for rate in (0.02, 0.2):
        one = novelty_detector(*images, false_alarm_rate=rate)
        assert one.unlike(images[1]).mean() == pytest.approx(rate, abs=2e-3)


def test_large_images_and_little_variety() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 90, 70, 3)).astype(np.uint8)
    one = novelty_detector(images[:20], images[20:])
    assert len(one.mean) <= 1024
    assert np.isfinite(one.novelty(images)).all()
    same = np.full((200, 8, 8, 1), 7, np.uint8)
    one = novelty_detector(same, same)
    assert not one.unlike(same).any()
    assert one.unlike(same + np.uint8(100)).all()


@pytest.mark.parametrize(
    ("held_out", "rate", "error", "message"),
    [
        (50, 0.01, DataError, "50 held-out images are too few .* at least 100"),
        (200, 0.0, ValueError, "false_alarm_rate=0.0 must be in"),
        (200, 1.0, ValueError, "false_alarm_rate=1.0 must be in"),
    ],
)
def test_too_few_images_and_bad_rates_are_refused(
    digits, held_out, rate, error, message
) -> None:
    image = digits.train.image
    with pytest.raises(error, match=message):
        novelty_detector(image, image[:held_out], false_alarm_rate=rate)
