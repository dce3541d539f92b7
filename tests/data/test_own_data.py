"""Users' own data: folders of pictures, arrays, tables and texts."""

import re

import numpy as np
import pytest
from PIL import Image

from fdl import data
from fdl.data import DataError

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def photos(tmp_path):
    """Return a function that writes `count` pictures of each of three classes."""

    def make(count=4, *, below=(".",), size=(20, 30), mode="RGB", suffix="png"):
        root = tmp_path / "photos"
        for part in below:
            for number, name in enumerate(CLASSES):
                folder = root / part / name
                folder.mkdir(parents=True, exist_ok=True)
                for index in range(count):
                    color = (60 * number, 10 * index, 99)
                    picture = Image.new("RGB", size[::-1], color).convert(mode)
                    picture.save(folder / f"{index}.{suffix}")
        return root

    return make


def test_a_folder_of_classes(photos, caplog):
    root = photos(8)
    loaded = data.load(f"folder:{root}")
    assert loaded.info.class_names == CLASSES
    assert loaded.info.input_shape == (20, 30, 3)
    counts = [len(p.label) for p in (loaded.train, loaded.validation, loaded.test)]
    assert counts == [17, 3, 4]
    for part in (loaded.train, loaded.validation, loaded.test):
        # Every class has its share, and every picture the pixels of its class.
        assert set(part.label) == {0, 1, 2}
        np.testing.assert_array_equal(part.image[:, 3, 4, 0], 60 * part.label)
        assert not part.image.flags.writeable
    assert "no test part: 4 of its 24 examples" in caplog.text
    assert "a sixth was drawn with seed 0" in loaded.info.source
    again = data.load(f"folder:{root}")
    assert again.info == loaded.info
    assert not loaded.info.light_on_dark
    framed = data.load(f"folder:{root}?fit=digit").info  # like the digits of MNIST
    assert (framed.fit, framed.light_on_dark) == ("digit", True)
    np.testing.assert_array_equal(again.test.image, loaded.test.image)


def test_equal_pictures_of_a_folder_are_named(photos):
    root = photos()
    (root / "dog" / "again.png").write_bytes((root / "cat" / "0.png").read_bytes())
    for validation in (1 / 3, None):  # both hold out a test part
        loaded = data.load(f"folder:{root}", validation=validation)
        described = loaded.describe()
        assert loaded.files.keys() == described.counts.keys()
        for part, files in loaded.files.items():
            for file, image in zip(files, getattr(loaded, part).image, strict=True):
                with Image.open(root / file) as picture:
                    np.testing.assert_array_equal(np.asarray(picture), image)
        (copies,) = described.copies()
        assert sorted(copies.split(" = ")) == ["cat/0.png", "dog/again.png"]


def test_parts_of_a_folder_are_kept(photos):
    root = photos(2, below=("train", "val", "test"))
    loaded = data.load(f"folder:{root}")
    info = loaded.info
    assert (info.train_count, info.validation_count, info.test_count) == (6, 6, 6)
    joined = data.load(f"folder:{root}", validation=None)
    assert joined.validation is None
    assert joined.info.train_count == len(joined.train.label) == 12
    assert joined.info.checksum == info.checksum


@pytest.mark.parametrize(
    ("sizes", "options", "shape"),
    [
        ([(20, 30)] * 2, {}, (20, 30, 3)),
        ([(20, 30), (40, 24)], {}, (22, 22, 3)),  # the median of the shorter sides
        ([(100, 90), (300, 200)], {}, (64, 64, 3)),
        ([(300, 300)] * 2, {}, (64, 64, 3)),
        ([(20, 30)] * 2, {"size": "8x12"}, (8, 12, 3)),
        ([(20, 30)] * 2, {"size": 9, "channels": 1}, (9, 9, 1)),
    ],
)
def test_sizes_are_unified(photos, sizes, options, shape):
    root = photos(len(sizes))
    for index, size in enumerate(sizes):
        for name in CLASSES:
            Image.new("RGB", size[::-1], "red").save(root / name / f"{index}.png")
    loaded = data.load(f"folder:{root}", validation=None, **options)
    assert loaded.info.input_shape == shape


def test_pictures_are_gray_if_all_are(photos):
    root = photos(8, mode="L", suffix="jpg")
    assert data.load(f"folder:{root}").info.input_shape == (20, 30, 1)
    Image.new("RGB", (30, 20), "red").save(root / "cat" / "0.jpg")
    assert data.load(f"folder:{root}").info.input_shape == (20, 30, 3)


def test_unreadable_pictures_are_refused_or_skipped(photos, caplog):
    root = photos(8)
    for name in ("1.png", "3.png"):
        (root / "dog" / name).write_bytes(b"no picture")
    (root / "owl" / "notes.txt").write_text("ignored")
    with pytest.raises(DataError, match=r"dog/1.png cannot be .* \(2 such files\)"):
        data.load(f"folder:{root}")
    loaded = data.load(f"folder:{root}", skip_bad=True)
    assert loaded.info.train_count + loaded.info.validation_count == 18
    assert loaded.info.name.endswith("?skip_bad=true")
    assert "left out: " in caplog.text
    assert "ignored, not pictures: owl/notes.txt" in caplog.text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: root.rename(root.parent / "away"), "there is no such folder"),
        (lambda root: [_clear(root / name) for name in CLASSES], "holds no folders"),
        (lambda root: _clear(root / "cat", keep=True), "cat holds no pictures"),
        (lambda root: [_clear(root / n) for n in CLASSES[1:]], "only one class, 'cat'"),
        (lambda root: _clear(root / "owl", but="0.png"), "class 'owl' has one example"),
    ],
)
def test_bad_folders_are_refused(photos, damage, message):
    root = photos()
    damage(root)
    with pytest.raises(DataError, match=message):
        data.load(f"folder:{root}")
    assert not data.status(f"folder:{root}")[0].available or "class" in message


def _clear(folder, *, keep=False, but=None):
    for file in folder.iterdir():
        if file.name != but:
            file.unlink()
    if not keep and but is None:
        folder.rmdir()


def test_a_split_that_leaves_a_class_out_is_refused(photos):
    line = f"folder:{photos(4)}"
    for share, what in ((0.1, "held out"), (0.8, "to train on")):
        with pytest.raises(DataError, match=f"no example of class .* is {what}"):
            data.load(line, validation=share)


def test_a_part_that_lacks_a_class_is_refused(photos):
    root = photos(2, below=("train", "test"))
    _clear(root / "test" / "owl")
    with pytest.raises(DataError, match="test part lacks the class 'owl'"):
        data.load(f"folder:{root}")


IMAGES = (
    np.full((24, 4, 4), 10, np.uint8) * np.arange(24, dtype=np.uint8)[:, None, None]
)


@pytest.mark.parametrize(
    ("targets", "class_names", "labels_cycle"),
    [
        (np.arange(24) % 3, ("0", "1", "2"), True),
        (np.arange(24) % 3 * 2 + 1, ("1", "3", "5"), True),
        (np.array(["b", "a", "c"] * 8), ("a", "b", "c"), False),
        ((np.arange(24) % 3)[:, None], ("0", "1", "2"), True),
        (np.arange(24) % 2 == 1, ("False", "True"), False),
        (np.arange(24) % 6, tuple("012345"), False),  # each class has a test example
    ],
)
def test_arrays_with_classes_of_any_kind(targets, class_names, labels_cycle):
    found = data.from_arrays(IMAGES, targets)
    assert found.info.class_names == class_names
    assert found.info.input_shape == (4, 4, 1)
    assert found.info.kind == "image"
    assert {*found.test.label} == {*range(len(class_names))}
    if labels_cycle:  # the first pixel identifies the row
        row = found.test.image[:, 0, 0, 0] // 10
        np.testing.assert_array_equal(found.test.label, row % 3)


@pytest.mark.parametrize(
    ("inputs", "targets", "more", "message"),
    [
        (IMAGES, np.zeros(24, int), {}, "only one class, '0'"),
        (IMAGES, np.arange(23) % 2, {}, "24 inputs and 23 targets"),
        (IMAGES[:0], np.zeros(0, int), {}, "train part is empty"),
        (IMAGES, np.eye(3)[np.arange(24) % 3], {}, r"argmax\(-1\)"),
        (IMAGES, np.arange(24) % 3, {"class_names": ("a", "b")}, "from 0 to 1"),
        (IMAGES, [0] * 23 + [1], {}, "class '1' has one example"),
        (
            IMAGES,
            np.arange(24) % 2,
            {"test": (np.zeros((2, 5, 4), np.uint8), np.arange(2))},
            "convert them to one form",
        ),
        (
            IMAGES,
            np.arange(24) % 2,
            {"test": (IMAGES[:2] / 255, np.arange(2))},
            r"test part is float32\[4, 4, 1\], one of the train part uint8",
        ),
        (
            IMAGES,
            np.arange(24) % 2,
            {"test": (IMAGES, np.arange(24) % 3)},
            "train part lacks the class '2'",
        ),
        (IMAGES.astype(np.float32) * 9, np.arange(24) % 2, {}, "Divide them"),
    ],
)
def test_bad_arrays_are_refused(inputs, targets, more, message):
    with pytest.raises(DataError, match=message):
        data.from_arrays(inputs, targets, **more)


def test_boolean_pixels_become_black_and_white():
    found = data.from_arrays(IMAGES > 99, np.arange(24) % 2)
    assert np.unique(found.train.image).tolist() == [0, 255]


def test_vectors_of_numbers():
    found = data.from_arrays(np.arange(24 * 3).reshape(24, 3), np.arange(24) % 2)
    assert (found.info.kind, found.info.input_shape) == ("vector", (3,))
    assert found.train.image.dtype == np.float32
    assert data.example(found.info).image.dtype == np.float32


@pytest.mark.parametrize(
    "names",
    [
        ("image", "label", None, None),
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_a_file_of_arrays(tmp_path, names):
    targets = np.arange(24) % 3
    arrays = {names[0]: IMAGES, names[1]: targets}
    if names[2]:
        arrays |= {names[2]: IMAGES[:6], names[3]: targets[:6]}
    np.savez(tmp_path / "digits.npz", **arrays)
    found = data.load(f"npz:{tmp_path / 'digits.npz'}", validation=None)
    assert found.info.test_count == (6 if names[2] else 4)
    assert found.info.title == "digits"
    (status,) = data.status(f"npz:{tmp_path / 'digits.npz'}")
    assert (status.train_count, status.test_count) == (
        found.info.train_count,
        found.info.test_count,
    )


def test_bad_files_of_arrays_are_refused(tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(DataError, match="cannot be read"):
        data.load(f"npz:{file}")
    np.savez(file, image=IMAGES, other=IMAGES)
    with pytest.raises(DataError, match="holds the arrays image, other: expected"):
        data.load(f"npz:{file}")
    np.savez(file, image=IMAGES, label=np.array([{}] * 24, object))
    with pytest.raises(DataError, match="cannot be read"):
        data.load(f"npz:{file}")


def test_names_mean_the_same_in_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = data.find("folder:photos?size=32x48&skip_bad=true").name
    assert line == f"folder:{tmp_path}/photos?size=32x48&skip_bad=true"
    assert data.find("folder:photos", skip_bad=True, size=(32, 48)).name == line
    assert data.find(line).name == line
    assert data.short_name(line) == "photos"
    named = data.find("csv:a.csv", target="price & size?=1")
    assert data.find(named.name) == named
    odd = data.find("folder:what?/a&b").name
    assert odd == data.find(odd).name == f"folder:{tmp_path}/what?/a&b"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("floder:x", r"no kind of source 'floder'.*did you mean folder"),
        ("folder:", "names no place"),
        ("folder:x?sise=3", r"no option 'sise'.*did you mean size"),
        ("folder:x?size=0", "size='0' must be a whole number"),
        ("folder:x?size=1x2x3", "must be 64, or 48x64"),
        ("folder:x?channels=2", "must be 1"),
        ("folder:x?skip_bad=maybe", "true or false"),
        ("fashion-mnist", "did you mean fashion_mnist"),
    ],
)
def test_bad_names_are_refused(line, message):
    with pytest.raises(DataError, match=message):
        data.find(line)


def test_decoded_pictures_are_cached_until_a_file_changes(
    photos, monkeypatch, isolated
):
    root = photos(8)
    first = data.load(f"folder:{root}")
    cached = list((isolated / "cache" / "decoded").iterdir())
    assert len(cached) == 1
    with monkeypatch.context() as patch:
        patch.setattr(data.decoding.pictures, "read", None)  # it is not called
        again = data.load(f"folder:{root}")
    assert again.info == first.info
    Image.new("RGB", (30, 20), "red").save(root / "cat" / "0.png")
    assert data.load(f"folder:{root}").info.checksum != first.info.checksum
    cached[0].write_bytes(cached[0].read_bytes()[:-500])
    monkeypatch.setenv("FDL_CACHE_DIR", "/dev/null")  # nothing can be cached
    data.load(f"folder:{root}")


def test_the_cache_of_decoded_pictures_is_bounded(photos, monkeypatch, isolated):
    line = f"folder:{photos(8)}"
    size = 24 * 20 * 30 * 3
    monkeypatch.setenv("FDL_CACHE_GB", str(2.15 * size / 1e9))
    for channels in (1, 3, 1):
        data.load(line, channels=channels)  # the gray ones take a third
    (cached, other) = sorted((isolated / "cache" / "decoded").iterdir())
    assert cached.stat().st_size + other.stat().st_size < 2.15 * size
    (gray,) = (one for one in (cached, other) if one.stat().st_size < size)
    data.load(line, size=(20, 29))
    left = list((isolated / "cache" / "decoded").iterdir())
    assert sum(file.stat().st_size for file in left) < 2.15 * size
    assert len(left) == 2
    assert gray in left  # the least recently used file is gone


@pytest.fixture
def people(tmp_path):
    """Return a function that writes a table of 60 people, with changes to its text."""

    def make(change=lambda text: text, *, delimiter=","):
        rows = ["age,city,tall,weight"]
        for index in range(60):
            city = ("Rome", "Oslo", "Bonn")[index % 3]
            rows.append(f"{20 + index},{city},{'yes' if index % 2 else 'no'},{index}.5")
        file = tmp_path / "people.csv"
        file.write_text(change("\n".join(rows)).replace(",", delimiter), "utf-8")
        return f"csv:{file}"

    return make


@pytest.mark.parametrize("delimiter", [",", " ; ", "\t"])
def test_a_table(people, delimiter):
    line = people(delimiter=delimiter)
    found = data.load(line, target="tall", validation=None)
    info = found.info
    assert (info.kind, info.class_names) == ("vector", ("no", "yes"))
    assert info.columns == ("age", "city=Bonn", "city=Oslo", "city=Rome", "weight")
    age, bonn = found.train.image[:, 0], found.train.image[:, 1]
    np.testing.assert_array_equal(found.train.label, age % 2)
    np.testing.assert_array_equal(bonn, age % 3 == 1)
    assert info.means[0] == pytest.approx(age.mean())
    assert info.deviations[0] == pytest.approx(age.std())
    (status,) = data.status(info.name)
    assert (status.train_count, status.test_count) == (50, 10)


def test_a_table_whose_target_is_a_number(people):
    found = data.load(people(), target="weight")
    info = found.info
    assert (info.kind, info.class_names, info.input_shape) == (
        "number",
        ("weight",),
        (6,),
    )
    np.testing.assert_array_equal(
        found.test.targets[:, 0], found.test.inputs[:, 0] - 20 + 0.5
    )
    assert len(info.means) == 7
    assert data.load(people(), target="age").info.kind == "number"  # 60 whole numbers
    assert data.load(people(), target="city").info.kind == "vector"
    for count, kind in ((20, "vector"), (21, "number")):
        few = people(lambda text, n=count: re.sub("[0-9]+,(?=[A-Z])", _below(n), text))
        assert data.load(few, target="age", validation=None).info.kind == kind


def _below(count):
    """Return a replacement that takes a matched number modulo `count`."""
    return lambda found: f"{int(found[0][:-1]) % count},"


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (str, None, "needs a target: set --target to one of age, city, tall, wei"),
        (str, "size", "has no column 'size': set --target to one of age"),
        (
            lambda text: text.replace("23,", "old,"),
            "tall",
            "row 4 of column 'age' is 'old', not a number: correct",
        ),
        (
            lambda text: text.replace("Rome", ""),
            "tall",
            r"row 1 of column 'city' is '', not a number \(20 such cells\)",
        ),
        (
            lambda text: text.replace("23,", "nan,"),
            "tall",
            "row 4 of column 'age' is 'nan'",
        ),
        (
            lambda text: text + "\n1,2",
            "tall",
            "row 61 has 2 cells, but the header has 4",
        ),
        (lambda text: text.split("\n")[0], "tall", "has no rows below"),
        (lambda text: text.replace("city", "age", 1), "tall", "'age' occurs more than"),
        (lambda text: text.replace("yes", "no"), "tall", "only one class, 'no'"),
    ],
)
def test_bad_tables_are_refused(people, change, target, message):
    with pytest.raises(DataError, match=message):
        data.load(people(change), target=target)


def test_texts_become_tokens_in_order(tmp_path):
    text = "the quick brown fox jumps over the lazy dog.\n" * 100
    (tmp_path / "a.txt").write_text(text, "utf-8")
    found = data.load(f"text:{tmp_path / 'a.txt'}")
    assert found.info.kind == "text"
    assert "".join(found.info.class_names) == "".join(sorted(set(text)))
    token = np.concatenate([found.train.token, found.validation.token]).ravel()
    decoded = "".join(found.info.class_names[number] for number in token)
    assert text.startswith(decoded)
    assert len(decoded) > 3000
    lines = "".join(f'{{"body": "{line}"}}\n' for line in text.split("\n")[:-1])
    (tmp_path / "a.jsonl").write_text(lines, "utf-8")
    same = data.load(f"jsonl:{tmp_path / 'a.jsonl'}", text="body")
    np.testing.assert_array_equal(same.train.token, found.train.token)


@pytest.mark.parametrize(
    ("scheme", "content", "message"),
    [
        ("text", b"\xff\xfe\x00", "cannot be read as text in UTF-8"),
        ("text", b"short", "too short for a window of 128"),
        ("jsonl", b'{"text": "a"}\n{"txt": "a"}', "line 2 is not a JSON object with a"),
        ("jsonl", b'{"text": 3}', "line 1 is not a JSON object"),
        ("jsonl", b"[" * 100_000, "line 1 is not a JSON object"),
    ],
)
def test_bad_texts_are_refused(tmp_path, scheme, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message):
        data.load(f"{scheme}:{tmp_path / 'a'}")
    assert not data.status(f"{scheme}:{tmp_path / 'a'}")[0].available


def test_leaks_and_duplicates_are_counted(tmp_path):
    label = np.arange(24) % 3
    found = data.from_arrays(IMAGES, label, test=(IMAGES[[3, 4, 4]], [0, 1, 2]))
    described = data.split(found, 1 / 4).describe()
    assert described.counts == {"train": 18, "validation": 6, "test": 3}
    assert described.balance["train"] == (6, 6, 6)
    assert described.repeated == {"train": 0, "validation": 0, "test": 1}
    assert sum(described.leaks.values()) == 3
    assert "LEAK: " in str(described)
    clean = data.from_arrays(IMAGES, label).describe()
    assert not clean.leaks
    assert "no input of a part is in another one" in str(clean)
    data.draw_contact_sheet(found, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    scale = 84 // 4
    assert pixels.shape == (14 * scale, 49 * scale)
    assert pixels[5 * scale, 0] == IMAGES[1, 0, 0]  # the first of the second class
    bright = data.from_arrays(IMAGES / 255, label)  # floats are drawn alike
    data.draw_contact_sheet(bright, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        drawn = np.unique(np.asarray(sheet))
    assert {*drawn} == {255, *np.unique(bright.train.image * 255).round()}
    vectors = data.from_arrays(np.eye(6), [0, 1] * 3)
    with pytest.raises(DataError, match="has no images to draw"):
        data.draw_contact_sheet(vectors, tmp_path / "none.png")
