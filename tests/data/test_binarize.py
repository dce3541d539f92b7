"""Binarization: each pixel is drawn once, with its brightness as probability."""

import hashlib

import numpy as np
import pytest

from fdl import data
from fdl.data import splits


def test_pixels_are_white_with_the_probability_of_their_brightness() -> None:
    gray = data.load("mnist-5k")
    binary = data.binarize(gray)
    for name in ("train", "validation", "test"):
        before, after = getattr(gray, name), getattr(binary, name)
        assert after.image.dtype == np.uint8
        assert not after.image.flags.writeable
        assert set(np.unique(after.image)) == {0, 255}
        assert (after.image[before.image == 0] == 0).all()
        assert (after.image[before.image == 255] == 255).all()
        np.testing.assert_array_equal(after.label, before.label)
        for low in range(1, 255, 32):
            chosen = (before.image >= low) & (before.image < min(low + 32, 255))
            wanted = before.image[chosen].mean() / 255
            error = 0.5 / np.sqrt(chosen.sum())
            assert abs((after.image[chosen] == 255).mean() - wanted) < 4 * error
    assert binary.info == gray.info


def test_the_draw_never_changes() -> None:
    found = data.binarize(data.load("mnist-5k", validation=None))
    digest = hashlib.sha256(found.train.image.tobytes() + found.test.image.tobytes())
    # The results in docs/results are measured on this draw.
    assert digest.hexdigest()[:16] == "8cb6b7866e3a0713"


@pytest.mark.parametrize("share", [1 / 6, 0.5])
@pytest.mark.parametrize("how", ["stratified", "last"])
def test_the_hold_out_changes_no_pixel(share, how) -> None:
    published = data.load("mnist-5k", validation=None)
    whole = data.binarize(published)
    parts = splits.split(published, share, how)
    found = data.binarize(parts)
    rows = parts.held_out
    np.testing.assert_array_equal(found.validation.image, whole.train.image[rows])
    left = np.delete(whole.train.image, rows, axis=0)
    np.testing.assert_array_equal(found.train.image, left)
    np.testing.assert_array_equal(found.test.image, whole.test.image)
    if how == "last":  # the default of a dataset without `held_out`
        again = data.binarize(parts._replace(held_out=None))
        np.testing.assert_array_equal(again.train.image, found.train.image)
        np.testing.assert_array_equal(again.validation.image, found.validation.image)
