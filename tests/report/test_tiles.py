"""Sheets of small pictures: selection, order and captions."""

import numpy as np
import pytest
from PIL import Image

from fdl import report
from fdl.report import class_maps, mistakes, tiles

NAMES = ["0", "1", "Ankle boot", "a name too long to be shown"]


@pytest.fixture
def written(monkeypatch):
    """Calls of the function that writes tiles."""
    calls = []

    def keep(path, tiles, columns, words):
        calls.append((tiles, columns, words))

    for module in (class_maps, mistakes, tiles):
        monkeypatch.setattr(module, "write_tiles", keep)
    return calls


def probabilities(guess, sure):
    return np.eye(4)[guess] * np.array(sure)[:, None]


def test_the_sheet_shows_misclassified_images_by_class(written) -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1))
    label, guess = np.array([1, 3, 0, 2, 0]), [1, 2, 1, 3, 0]
    outputs = probabilities(guess, [0.9] * 5)
    images = images.astype(np.uint8)
    report.draw_mistakes("a", images, label, outputs, NAMES, title="x")
    ((shown, _, words),) = written
    np.testing.assert_array_equal(np.round(255 * shown[:, 0, 0, 0]), [2, 3, 1])
    assert words.below == [
        "0 → 1",
        "Ankle boot\n→ a name too …",
        "a name too …\n→ Ankle boot",
    ]
    assert words.title == "x: 3 of 5 misclassified"
    report.draw_mistakes("a", images[:1], label[:1], outputs[:1], NAMES, title="x")
    assert len(written) == 1, "nothing was misclassified"


def test_of_too_many_the_most_confident_are_shown(written) -> None:
    images = np.arange(200, dtype=np.uint8)[:, None, None, None]
    sure = np.random.default_rng(0).permutation(np.linspace(0.3, 0.9, 200))
    outputs = probabilities([1] * 200, sure)
    report.draw_mistakes("a", images, np.zeros(200, int), outputs, NAMES, title="x")
    ((shown, _, words),) = written
    assert words.title == "x: 200 of 200 misclassified, of which the 150 most confident"
    of = np.round(255 * shown[:, 0, 0, 0])
    np.testing.assert_array_equal(of, np.sort(np.argsort(-sure)[:150]))


def test_kernels_are_scaled_about_middle_gray(written) -> None:
    kernel = np.zeros((3, 3, 1, 3))
    kernel[0, 0, 0, :2] = 2.0, -0.5
    report.draw_kernels("a", kernel, title="x")
    ((shown, *_),) = written
    np.testing.assert_allclose(shown[:, 0, 0, 0], [1, 0, 0.5], atol=0.01)
    np.testing.assert_allclose(shown[:, -1, -1], 0.5, atol=0.01)
    with pytest.raises(ValueError, match=r"1 channel \(gray\)"):
        report.draw_kernels("a", np.zeros((3, 3, 2, 3)), title="x")


def test_the_most_varied_maps_are_shown_from_black_to_white(written) -> None:
    maps = np.zeros((4, 4, 6))
    maps[0, 0] = [0, 5, 1, 3, 0, 4]
    stages = {1: maps, 2: np.ones((1, 1, 9))}
    report.draw_features("a", np.ones((8, 8, 1)), stages, title="x", most=3)
    ((shown, columns, words),) = written
    assert words.rows == ["image", "stride 1: 3 of 6, 4x4"]
    assert columns == 3
    assert np.isnan(shown[1:3]).all()
    np.testing.assert_array_equal(shown[3:, 0, 0], 1)
    np.testing.assert_array_equal(shown[3:, -1, -1], 0)


def test_evidence_for_a_class_is_bright_and_the_rest_dark(written) -> None:
    maps = np.array([[[9.0, -9.0], [0.0, 0.0]]])
    report.draw_activation_maps("a", np.zeros((1, 28, 28, 1)), maps, ["7"], title="x")
    (((image, over), columns, words),) = written
    assert (columns, words.below) == (1, ["", "7"])
    assert not image.any()
    assert over[0, 0].sum() > 0.5 > 0.1 > over[0, -1].sum()
    texts = [f"{NAMES[3]}\n→ 7"]
    report.draw_activation_maps("a", np.zeros((1, 28, 28, 1)), maps, texts, title="x")
    assert written[-1][2].below[1] == "a name too …\n→ 7"


@pytest.mark.drawn
def test_tiles_are_written_whole_with_room_for_captions(tmp_path) -> None:
    shown = tiles.tiles_of(np.eye(3)[:, None, None, :] * np.ones((1, 7, 14, 1)))
    assert shown.shape == (3, 42, 84, 3)
    words = tiles.Words("title", ["a", "b\nb", ""], ["one", "two"], "note")
    tiles.write_tiles(tmp_path / "a.png", shown, 2, words)
    with Image.open(tmp_path / "a.png") as opened:
        pixels = np.asarray(opened.convert("RGB")).reshape(-1, 3)
    for color in 255 * np.eye(3, dtype=np.uint8):
        assert (pixels == color).all(axis=-1).sum() > 0.8 * 42 * 84
