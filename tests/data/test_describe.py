"""What is said of a dataset."""

import numpy as np
import pytest
from PIL import Image

from fdl.data import DataError, from_arrays, load

IMAGES = np.random.default_rng(0).integers(256, size=(24, 9, 7, 3), dtype=np.uint8)
LABELS = np.arange(24) % 3
NAMES = ("cat", "dog", "owl")


def made(**more):
    return from_arrays(
        IMAGES[:18],
        LABELS[:18],
        validation=(IMAGES[18:21], LABELS[18:21]),
        class_names=NAMES,
        **({"test": (IMAGES[21:], LABELS[21:])} | more),
    )


def test_numbers_and_classes(tmp_path) -> None:
    found = made().describe(sheet=tmp_path / "sheet.png")
    assert found.counts == {"train": 18, "validation": 3, "test": 3}
    assert found.classes["dog"] == {"train": 6, "validation": 1, "test": 1}
    assert (found.overlaps, found.leaks, found.contradictions) == ((), (), 0)
    assert "image, inputs of 9x7x3" in str(found)
    assert "dog  train 6  validation 1  test 1" in str(found)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    for label in range(3):  # the first images of a class are in its row
        top = 12 * label
        row = sheet[top : top + 9, 90 : 90 + 7]
        np.testing.assert_array_equal(row, IMAGES[label])


def test_duplicates_between_parts_are_a_leak() -> None:
    test = (IMAGES[[0, 1, 2, 2, 20]], np.array([0, 1, 1, 2, 2]))
    found = made(test=test).describe()
    assert [tuple(each) for each in found.leaks] == [
        ("test", "train", 4),
        ("test", "validation", 1),
    ]
    assert found.overlaps[0] == ("test", "test", 1)
    assert found.contradictions == 1
    assert "leak: 4 of 5 test examples are also train examples" in str(found)


def test_tables_and_texts(tmp_path) -> None:
    values = np.repeat(np.arange(12.0), 2)
    found = from_arrays(np.float32(values[:, None]), values).describe()
    assert found.classes == {}
    assert sum(each.examples for each in found.leaks) > 0
    file = tmp_path / "book.txt"
    file.write_text("0123456789abcdef" * 8 * 40)
    text = load(f"text:{file}")
    assert "also train examples" in str(text.describe())
    with pytest.raises(DataError, match="holds no images to draw, but text data"):
        text.describe(sheet=tmp_path / "sheet.png")
