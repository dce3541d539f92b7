"""Datasets loaded in the form of a run's training data."""

import numpy as np
import pytest
from PIL import Image

from fdl.data import DataError, from_arrays, load

X = (np.arange(24)[:, None, None] * np.ones((24, 6, 8))).astype(np.uint8)


def paint(root, counts, size, mode="RGB", first=0):
    """Write a folder of pictures; each class has its own brightness."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            level = 40 * (ord(name[0]) - ord("a")) + first
            picture = Image.new("RGB", size[::-1], (level,) * 3).convert(mode)
            picture.save(root / name / f"{number}.png")
    return f"folder:{root}"


@pytest.fixture
def own(tmp_path):
    """The info of a folder of gray pictures, 20x30, in the classes a, b and c."""
    line = paint(tmp_path / "own", {"a": 4, "b": 4, "c": 4}, (20, 30), "L")
    return load(line, validation=None).info


def test_pictures_get_the_size_and_classes_of_the_training_data(own, tmp_path, caplog):
    line = paint(tmp_path / "more", {"c": 3, "b": 1}, (90, 60))
    found = load(line, like=own)
    assert found.info.input_shape == own.input_shape == (20, 30, 1)
    assert found.info.class_names == ("a", "b", "c")
    assert found.test.label.tolist() == [1, 2, 2, 2]  # all of it is the test part
    assert found.test.image[:, 10, 15, 0].tolist() == [40, 80, 80, 80]
    assert found.validation is None
    assert not found.test.label.flags.writeable
    assert "more lacks the class 'a', which is not evaluated" in caplog.text
    one = load(paint(tmp_path / "one", {"c": 1}, (20, 30)), like=own)
    assert one.test.label.tolist() == [2]
    with pytest.raises(DataError, match="has the class 'd', which own lacks"):
        load(paint(tmp_path / "new", {"a": 3, "d": 3}, (20, 30)), like=own)


def test_arrays_get_the_shape_of_the_training_data(own, tmp_path):
    levels = np.repeat(np.uint8([0, 40, 80]), 2)[:, None, None, None]
    images = levels * np.ones((1, 60, 90, 3), np.uint8)
    for found in (images, images / 255, images[..., 0], images[:, ::3, ::3, :1]):
        np.savez(tmp_path / "b.npz", x=found, y=[*"aabbcc"])
        image = load(f"npz:{tmp_path}/b.npz", like=own).test.image
        assert image.shape == (6, 20, 30, 1)
        assert image.dtype == np.uint8
        assert image[:, 10, 15, 0].tolist() == [0, 0, 40, 40, 80, 80]
    wide = load(f"npz:{tmp_path}/b.npz", size=(8, 12), channels=3, validation=None)
    assert wide.info.input_shape == (8, 12, 3)
    np.savez(tmp_path / "b.npz", x=images[..., :2], y=[*"aabbcc"])
    with pytest.raises(DataError, match="b: x: its images have 2 channels, but only"):
        load(f"npz:{tmp_path}/b.npz", like=own)


def test_an_existing_test_part_is_used(own, tmp_path):
    root = tmp_path / "parts"
    paint(root / "train", {"b": 2, "c": 2}, (9, 9))
    line = paint(root / "test", {"c": 1}, (9, 9)).removesuffix("/test")
    found = load(line, like=own)
    assert found.test.label.tolist() == [2]
    assert found.info.train_count == 4


TABLE = "age,city,tall\n" + "".join(
    f"{n},{('Rome', 'Oslo', 'Bonn')[n % 3]},{('no', 'yes')[n % 2]}\n" for n in range(30)
)


def test_columns_are_matched_by_name(tmp_path):
    (tmp_path / "own.csv").write_text(TABLE)
    own = load(f"csv:{tmp_path}/own.csv?target=tall").info
    assert own.columns == ("age", "city=Bonn", "city=Oslo", "city=Rome")
    (tmp_path / "b.csv").write_text("tall,id,city,age\nyes,7,Rome,50\nyes,8,Bonn,60\n")
    found = load(f"csv:{tmp_path}/b.csv", like=own)
    assert found.test.image.tolist() == [[50, 0, 0, 1], [60, 1, 0, 0]]
    assert found.test.label.tolist() == [1, 1]
    for text, message in (
        ("tall,city,age\nyes,Lima,50\n", "category 'city=Lima', which own lacks: ci"),
        ("tall,city\nyes,Rome\n", "lacks the column 'age' of own"),
        ("tall,city,age\nmaybe,Rome,2\n", "class 'maybe', which own lacks"),
    ):
        (tmp_path / "b.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            load(f"csv:{tmp_path}/b.csv", like=own)
    number = load(f"csv:{tmp_path}/own.csv?target=age", target=None).info
    (tmp_path / "b.csv").write_text("tall,city,age\nyes,Rome,50\nno,Oslo,50\n")
    found = load(f"csv:{tmp_path}/b.csv", like=number)
    assert found.info.kind == number.kind == "number"
    assert found.test.targets.tolist() == [[50], [50]]
    assert found.test.inputs.shape == (2, 5)


def test_texts_get_the_vocabulary_and_length_of_the_training_data(tmp_path):
    texts, classes = ["a fine film", "a dull film"] * 6, ["good", "bad"] * 6
    own = from_arrays(texts, classes).info
    rows = '\n{"text": "dull dull dull dull", "mood": "bad"}' * 3
    (tmp_path / "b.jsonl").write_text(rows)
    found = load(f"jsonl:{tmp_path}/b.jsonl?target=mood", like=own)
    dull = own.vocabulary.index("dull")
    assert found.test.token.tolist() == [[dull] * 3] * 3
    assert found.test.label.tolist() == [0, 0, 0]
    (tmp_path / "own.txt").write_text("abcd" * 1000)
    own = load(f"text:{tmp_path}/own.txt").info
    (tmp_path / "b.txt").write_text("dcb" * 1000)
    found = load(f"text:{tmp_path}/b.txt", like=own)
    assert found.test.token[0, :3].tolist() in ([3, 2, 1], [2, 1, 3], [1, 3, 2])
    (tmp_path / "b.txt").write_text("dxb" * 1000)
    with pytest.raises(DataError, match="has the character 'x', which own lacks"):
        load(f"text:{tmp_path}/b.txt", like=own)
