"""Grids of images: every pixel where it belongs."""

import numpy as np
import pytest
from PIL import Image

from fdl.pixels import enlargement
from fdl.report import draw_animation, draw_images

pytestmark = pytest.mark.drawn


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_fill_the_rows_in_order(tmp_path, channels) -> None:
    images = np.random.default_rng(0).random((5, 4, 6, channels))
    draw_images(tmp_path / "a.png", images, columns=3)
    scale = enlargement(4, 6)
    height, width = 4 * scale + 2, 6 * scale + 2
    drawn = read(tmp_path / "a.png").reshape(2 * height + 2, 3 * width + 2, channels)
    for index, image in enumerate(images):
        row, column = divmod(index, 3)
        top, left = 2 + height * row, 2 + width * column
        found = drawn[top : top + 4 * scale : scale, left : left + 6 * scale : scale]
        np.testing.assert_array_equal(found, np.round(255 * image))
    assert (drawn[-height:, -width:] == 128).all(), "gray where there is no image"


def test_bytes_are_drawn_unchanged_and_floats_are_clipped(tmp_path) -> None:
    raw = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    draw_images(tmp_path / "a.png", raw)
    scale = enlargement(4, 4)
    found = read(tmp_path / "a.png")[2:-2:scale, 2:-2:scale]
    np.testing.assert_array_equal(found, raw[0, ..., 0])
    draw_images(tmp_path / "b.png", np.array([-1.0, 2.0]).reshape(1, 1, 2, 1))
    found = read(tmp_path / "b.png")[2, 2 : -2 : enlargement(1, 2)]
    assert found.tolist() == [0, 255]


def test_an_animation_shows_every_frame(tmp_path) -> None:
    pictures = [tmp_path / name for name in ("0.png", "1.png", "2.png")]
    for picture, level in zip(pictures, (0.0, 0.5, 1.0), strict=True):
        draw_images(picture, np.full((4, 8, 8, 1), level))
    draw_animation(tmp_path / "a.gif", pictures)
    with Image.open(tmp_path / "a.gif") as moving:
        assert moving.n_frames == 3
        for index, level in enumerate((0, 128, 255)):
            moving.seek(index)
            assert np.asarray(moving.convert("L"))[5, 5] == level


def test_bad_channels_and_empty_inputs_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="1 channel"):
        draw_images(tmp_path / "a.png", np.zeros((3, 8, 8, 2)))
    with pytest.raises(ValueError, match="at least one"):
        draw_images(tmp_path / "a.png", np.zeros((0, 8, 8, 1)))
    with pytest.raises(ValueError, match="at least one picture"):
        draw_animation(tmp_path / "a.gif", [])
