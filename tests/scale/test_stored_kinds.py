"""Examples stored in files of arrays, in HDF5 or as records."""

from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

import fdl
from data.make_tfds import png, write_tfds
from fdl.data import stored, stored_tfds
from fdl.train.parts import Fetched

TFRECORD = Path(__file__).parents[1] / "data" / "tfrecord"
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 6, 5, 1), np.uint8)
LABEL = RNG.integers(0, 10, 40).astype(np.int32)
INDEX = np.array([0, 3, 4, 5, 11, 38, 39])


def same_rows(source):
    rows = source.rows(INDEX)
    np.testing.assert_array_equal(rows.image, IMAGE[INDEX])
    np.testing.assert_array_equal(rows.label, LABEL[INDEX])
    assert rows.image.dtype == np.uint8
    assert len(source) == 40


def test_memmaps_are_read_not_mapped(tmp_path) -> None:
    np.save(tmp_path / "x.npy", IMAGE)
    np.save(tmp_path / "y.npy", LABEL)
    image = np.load(tmp_path / "x.npy", mmap_mode="r")
    label = np.load(tmp_path / "y.npy", mmap_mode="r")
    source = stored(fdl.Batch(image, label))
    assert source.name == "x.npy, y.npy"
    same_rows(source)
    same_rows(stored(fdl.Batch(np.asarray(image).view(), label), name="any"))
    part = stored(image[3:, None])
    np.testing.assert_array_equal(part.rows(INDEX[:5]), IMAGE[3:][INDEX[:5], None])
    with open(tmp_path / "x.npy", "r+b") as file:
        file.truncate(128 + 30 * 20)
    with pytest.raises(fdl.DataError, match=r"x.npy was truncated"):
        source.rows(INDEX)
    with pytest.raises(fdl.DataError, match=r"x.npy was truncated"):
        part.rows(INDEX[-2:] - 3)


def test_arrays_that_are_not_whole_rows_of_a_file_are_sliced(tmp_path) -> None:
    np.save(tmp_path / "x.npy", IMAGE)
    np.save(tmp_path / "f.npy", np.asfortranarray(IMAGE))
    image = np.load(tmp_path / "x.npy", mmap_mode="r")
    columns = np.load(tmp_path / "f.npy", mmap_mode="r")
    changed = np.load(tmp_path / "x.npy", mmap_mode="c")
    changed[3] = 7
    wanted = IMAGE.copy()
    wanted[3] = 7
    for kept, whole in (
        (image[::2], IMAGE[::2]),
        (image[:, 1:], IMAGE[:, 1:]),
        (columns, IMAGE),
        (changed, wanted),
        (wanted, wanted),
    ):
        rows = stored(kept).rows(np.array([2, 3, 9]))
        np.testing.assert_array_equal(rows, whole[[2, 3, 9]])


def test_hdf5_is_read_by_row(tmp_path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["image"], file["label"] = IMAGE, LABEL
    with h5py.File(tmp_path / "all.h5") as file:
        source = stored(fdl.Batch(file["image"], file["label"]))
        assert source.name == "all.h5"
        same_rows(source)


class Pairs:
    """A map-style data set, as in PyTorch."""

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return {"image": IMAGE[i], "label": LABEL[i], "file": f"{i}.png"}


def as_batch(record):
    return fdl.Batch(record["image"], record["label"])


def test_records_become_rows() -> None:
    same_rows(stored(Pairs(), convert=as_batch))

    class AtOnce(Pairs):
        def __getitems__(self, numbers):
            requested.append(numbers)
            return [self[i] for i in numbers]

    requested = []
    same_rows(stored(AtOnce(), convert=as_batch))
    assert requested == [INDEX.tolist()]


def test_grain_data_sets_are_records() -> None:
    grain = pytest.importorskip("grain")
    data = grain.MapDataset.source(Pairs()).map(as_batch)
    same_rows(stored(data))
    endless = stored(data.repeat())
    with pytest.raises(fdl.DataError, match=r"MapDataset has 9,\d{3},.* examples"):
        Fetched(endless)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """TFDS directories with images of one size, and of two sizes."""
    from tensorflow_datasets import features

    root = tmp_path_factory.mktemp("tfds")
    for name, shape, rows in (("even", (6, 5, 1), 0), ("uneven", (None, None, 1), 1)):
        described = {
            "image": features.Image(shape=shape),
            "label": features.ClassLabel(num_classes=10),
        }
        examples = [
            (i, {"image": png(IMAGE[i, i % 2 * rows :, :, 0]), "label": LABEL[i]})
            for i in range(40)
        ]
        write_tfds(root, described, {"train": examples[:39], "test": examples}, name)
    return root


def test_tfds_directories_are_decoded_when_fetched(pets) -> None:
    source = stored_tfds("even", "test", data_dir=pets)
    whole = source.rows(np.arange(40))  # TFDS shuffles when it writes
    order = [np.flatnonzero((IMAGE == x).all(axis=(1, 2, 3)))[0] for x in whole.image]
    np.testing.assert_array_equal(np.sort(order), np.arange(40))
    np.testing.assert_array_equal(whole.label, LABEL[order])
    assert source.class_names == tuple(map(str, range(10)))
    some = source.rows(INDEX)
    np.testing.assert_array_equal(some.image, whole.image[INDEX])
    assert len(stored_tfds("even:1.2.0", "train[:10]", data_dir=pets)) == 10
    sized = stored_tfds("uneven", size=(4, 6), channels=3, data_dir=pets)
    assert sized.rows(INDEX[:2]).image.shape == (2, 4, 6, 3)
    assert sized.name == "uneven train"


def test_directories_that_cannot_be_fetched_are_refused(pets) -> None:
    with pytest.raises(
        fdl.DataError, match="have many sizes: pass one, such as size=64"
    ):
        stored_tfds("uneven", data_dir=pets)
    with pytest.raises(fdl.DataError, match="no split 'valid': choose one of train"):
        stored_tfds("even", "valid[:3]", data_dir=pets)
    with pytest.raises(fdl.DataError, match="cannot be read by index"):
        stored_tfds("mnist", data_dir=TFRECORD)


def test_records_of_other_shapes_are_named() -> None:
    class Ragged(Pairs):
        def __getitem__(self, i):
            return IMAGE[i, i // 38 :]

    source = stored(Ragged(), name="ragged")
    with pytest.raises(fdl.DataError, match=r"ragged: record 38 is uint8\[5, 5, 1\]"):
        source.rows(INDEX)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (iter([IMAGE]), {}, "fdl.data.Batches"),
        ((IMAGE, LABEL[1:]), {}, "have 40, 39 examples"),
        (IMAGE, {"convert": as_batch}, "to records, but these are arrays"),
    ],
)
def test_unsuitable_data_are_refused(data, options, message) -> None:
    with pytest.raises(fdl.DataError, match=message):
        stored(data, **options)


def test_examples_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(fdl.DataError, match=r"the Pairs, .*file has dtype <U5"):
        Fetched(stored(Pairs()))
    source = stored(IMAGE)
    assert jax.tree.leaves(source) == [source]  # an object, not a tree of arrays
