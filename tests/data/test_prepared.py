"""`tfds:` directories, and datasets that are published as archives."""

import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from make_tfds import png, write_tfds

from fdl.data import (
    DataError,
    archived,
    cache,
    find,
    load,
    prepared_examples,
    status,
)
from fdl.data.archives import ARCHIVES

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(24, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(24) % 3


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A TFDS directory with images of two sizes and an unused last class."""
    from tensorflow_datasets import features

    root = tmp_path_factory.mktemp("tfds")
    image, label = features.Image(shape=(None, None, 3)), ("cat", "dog", "owl", "yak")
    rows = [
        (i, {"image": png(IMAGES[i, : 32 - i % 2]), "label": label[i % 3], "age": i})
        for i in range(24)
    ]
    described = {
        "image": image,
        "label": features.ClassLabel(names=label),
        "age": features.Scalar(np.int64),
    }
    unlabeled = [(i, row | {"label": -1}) for i, row in rows[:3]]
    splits = {"train": rows[:18], "val": rows[18:], "test": unlabeled, "extra": rows}
    write_tfds(root, described, splits)
    return root


def test_a_prepared_directory_is_a_dataset(pets, monkeypatch):
    data = load("tfds:pets", data_dir=pets)
    info = data.info
    assert info.name == "tfds:pets"
    assert info.class_names == ("cat", "dog", "owl")
    assert info.input_shape == (31, 31, 3)  # the median of the shorter sides
    assert info.train_count + info.test_count == 18
    assert info.validation_count == 6
    assert "ignored: test (without classes), extra" in info.source
    assert "a sixth was drawn" in info.source
    monkeypatch.setenv("TFDS_DATA_DIR", str(pets))
    again = load("tfds:pets:1.2.0", size=16, channels=1)
    assert again.info.input_shape == (16, 16, 1)
    assert load("tfds:pets", size=16).info.input_shape == (16, 16, 3)
    found = load("tfds:pets", like=again.info)
    assert found.info.input_shape == (16, 16, 1)
    assert found.info.test_count == 18  # all of it is the test part
    (report,) = status("tfds:pets")
    assert report.available
    assert report.train_count == 24


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tfds:pest", "not among the datasets .* it has pets"),
        ("tfds:pets:9.9.9", "no version 9.9.9: choose one of 1.2.0"),
        ("tfds:pets?target=age", "target='age' is not a ClassLabel; features: .*age"),
        ("tfds:../pets", "must be tfds:NAME"),
        ("tdfs:pets", "did you mean tfds"),
    ],
)
def test_unknown_datasets_versions_and_targets_are_refused(pets, line, message):
    with pytest.raises(DataError, match=message):
        load(line, data_dir=pets)


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
def test_modules_named_in_a_directory_are_not_imported(
    pets, tmp_path, key, monkeypatch
):
    version = tmp_path / "pets" / "1.2.0"
    version.mkdir(parents=True)
    for file in (pets / "pets" / "1.2.0").iterdir():
        (version / file.name).write_bytes(file.read_bytes())
    described = json.loads((version / "features.json").read_text())
    image = described["featuresDict"]["features"]["image"]
    del image["pythonClassName"]
    image[key] = "gift.Image"
    (version / "features.json").write_text(json.dumps(described))
    (tmp_path / "gift.py").write_text("raise SystemExit('the gift runs')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DataError, match=r"names the feature 'gift\.Image', which is"):
        load("tfds:pets", data_dir=tmp_path)
    assert "gift" not in sys.modules
    (version / "features.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"features\.json cannot be read"):
        load("tfds:pets", data_dir=tmp_path)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


def kmnist(images, labels):
    return {
        f"{prefix}-{kind}-ubyte.gz": idx(array)
        for prefix in ("train", "t10k")
        for kind, array in (("images-idx3", images[..., 0]), ("labels-idx1", labels))
    }


def emnist(which):
    def make(images, labels):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for part in ("train", "test"):
                stem = f"gzip/emnist-{which}-{part}"
                turned = images[..., 0].swapaxes(1, 2)
                first = int(which == "letters")
                archive.writestr(f"{stem}-images-idx3-ubyte.gz", idx(turned))
                archive.writestr(f"{stem}-labels-idx1-ubyte.gz", idx(labels + first))
        return {"gzip.zip": buffer.getvalue()}

    return make


def cifar(prefix, parts, names, columns):
    def make(images, labels):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:

            def add(name, data):
                member = tarfile.TarInfo(f"{prefix}-binary/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

            planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
            front = np.repeat(labels[:, None], columns, axis=1)
            front[:, :-1] = 0  # coarse classes come first
            rows = np.concatenate([front, planes], axis=1).astype(np.uint8)
            for name, part in parts.items():
                add(name, rows[part].tobytes())
            count = 10 if columns == 1 else 100
            lines = "\n".join(f"class_{n}" for n in range(count))
            add(names, (lines + "\n\n").encode())
        return {f"{prefix}-binary.tar.gz": buffer.getvalue()}

    return make


def svhn(images, labels):
    from scipy.io import savemat

    files = {}
    for part in ("train", "test"):
        buffer = io.BytesIO()
        y = np.where(labels == 0, 10, labels)[:, None]
        savemat(buffer, {"X": np.moveaxis(images, 0, -1), "y": y.astype(np.uint8)})
        files[f"{part}_32x32.mat"] = buffer.getvalue()
    return files


BATCHES = {f"data_batch_{n + 1}.bin": slice(4 * n, 4 * n + 4) for n in range(5)}
BATCHES |= {"data_batch_5.bin": slice(16, 24), "test_batch.bin": slice(None)}
WHOLE = {"train.bin": slice(None), "test.bin": slice(None)}
MAKE = {
    "kmnist": kmnist,
    **{
        f"emnist-{which}": emnist(which)
        for which in ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    },
    "cifar10": cifar("cifar-10", BATCHES, "batches.meta.txt", 1),
    "cifar100": cifar("cifar-100", WHOLE, "fine_label_names.txt", 2),
    "svhn": svhn,
}


COUNTS = {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 26, "cifar100": 100}


def prepare(root, name, images, labels, few):
    """Write a dataset as TFDS prepares it."""
    from tensorflow_datasets import features

    dataset, _, config = ARCHIVES[name].prepared.partition("/")
    described = {
        "image": features.Image(shape=images.shape[1:]),
        "label": features.ClassLabel(num_classes=few),
    }
    pixels, more = images, {}
    # TFDS keeps the transposed images of the files, and counts letters from 1.
    if config:
        pixels = images.swapaxes(1, 2)
    if config == "letters":
        described["label"], labels = features.ClassLabel(num_classes=37), labels + 1
    if name == "cifar100":
        described["coarse_label"] = features.ClassLabel(num_classes=20)
        more = {"coarse_label": 7}
    rows = [
        (n, {"image": png(pixels[n].squeeze()), "label": int(labels[n]), **more})
        for n in range(len(images))
    ]
    version = write_tfds(root / "made", described, dict(train=rows, test=rows), dataset)
    target = root / dataset / config / version.name
    target.parent.mkdir(parents=True, exist_ok=True)
    version.rename(target)
    return target


def test_every_archive_is_tested():
    assert MAKE.keys() == ARCHIVES.keys()


@pytest.mark.parametrize("name", MAKE)
def test_every_route_gives_the_images_of_an_archive(name, tmp_path, monkeypatch):
    archive = ARCHIVES[name]
    few = COUNTS.get(name.rpartition("-")[2], 10)
    size = 28 if "mnist" in name else 32
    channels = 1 if "mnist" in name else 3
    count = 24 if few == 10 else few
    images = RNG.integers(256, size=(count, size, size, channels), dtype=np.uint8)
    labels = np.arange(count) % few
    files = MAKE[name](images, labels)
    table = tuple(
        file._replace(
            size=len(files[file.name]),
            sha256=hashlib.sha256(files[file.name]).hexdigest(),
        )
        for file in archive.files
    )
    monkeypatch.setitem(ARCHIVES, name, archive._replace(files=table))

    def found(source, *, in_order=True, **options):
        data = load(name, validation=None, **options)
        assert data.info.source == source
        assert data.info.num_classes == few
        for part in (data.train, data.test):
            order = np.arange(count)
            if not in_order:  # TFDS has its own order
                place = {image.tobytes(): n for n, image in enumerate(images)}
                order = [place[image.tobytes()] for image in part.image]
                assert sorted(order) == list(range(count))
            np.testing.assert_array_equal(part.image, images[order])
            np.testing.assert_array_equal(part.label, labels[order])
        return data.info.class_names

    # A download, whose files are cached.
    requested = {file.folder + file.name: files[file.name] for file in archive.files}
    monkeypatch.setattr(archived, "receive", lambda url, *, most: requested[url])
    names = found("downloaded")
    monkeypatch.setattr(archived, "receive", None)
    assert found(f"original files in {cache.originals() / archive.folder}") == names

    # Original files in a folder of the user.
    folder = tmp_path / archive.folder
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    where = {"data_dir": tmp_path, "download": False}
    assert found(f"original files in {folder}", **where) == names
    assert find(name).status(tmp_path).available
    damaged = folder / next(iter(files))
    damaged.write_bytes(bytes(len(files[damaged.name])))
    with pytest.raises(DataError, match=r"not the published file: it has .* sha256"):
        load(name, **where)

    # A directory that TFDS has prepared.
    version = prepare(tmp_path, name, images, labels, few)
    tfds_names = found(f"TFDS directory {version}", in_order=False, **where)
    if name.startswith("emnist"):
        assert tfds_names == names


@pytest.mark.parametrize(
    ("kind", "pixel", "expected"),
    [
        (np.uint8, [10, 20, 30, 0], [255, 255, 255]),  # on white, as viewers show it
        (np.uint8, [10, 20, 30, 255], [10, 20, 30]),
        (np.uint8, [0, 100, 200, 128], [127, 177, 227]),
        (np.uint16, [257 * 7], [7]),
        (np.uint16, [2**16 - 1], [255]),
    ],
)
def test_opacity_and_sixteen_bits(tmp_path, kind, pixel, expected):
    image = np.full((3, 4, len(pixel)), pixel, kind)
    fitted = prepared_examples.converted(tmp_path, image, (3, 4), len(expected))
    assert fitted.dtype == np.uint8
    assert fitted[0, 0].tolist() == expected


def test_floating_point_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="an image is float32"):
        prepared_examples.converted(
            tmp_path, np.zeros((3, 4, 3), np.float32), (3, 4), 3
        )


def test_a_download_is_verified_before_it_is_cached(monkeypatch):
    with pytest.raises(DataError, match=r"SVHN.* was not found(?s:.*)train_32x32\.mat"):
        load("svhn", download=False)
    requested = []

    def receive(url, *, most):
        requested.append((url, most))
        return b"<html>"

    monkeypatch.setattr(archived, "receive", receive)
    monkeypatch.setenv("FDL_CIFAR10_URL", "http://127.0.0.1:9/")
    with pytest.raises(DataError, match="not the published file: it has 6 bytes"):
        load("cifar10")
    assert requested == [("http://127.0.0.1:9/cifar-10-binary.tar.gz", 170_052_171)]
    assert not cache.originals().exists()
