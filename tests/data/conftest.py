import gzip
import hashlib
import struct
from typing import NamedTuple

import numpy as np
import pytest

from fdl.arrays import Batch
from fdl.data import builder, catalog, idx, places
from fdl.data.catalog import Entry, Split, Splits


class Tiny(NamedTuple):
    entry: Entry
    splits: Splits


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory, monkeypatch):
    """Hide this computer's datasets, caches and network from the tests."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FDL_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(home / "tfds"))
    monkeypatch.setattr(places, "_SYSTEM", home / "system")
    for variable in ("FDL_MNIST_URL", "FDL_FASHION_MNIST_URL"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # a closed port
    for variable in ("FDL_DATA_DIR", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return home


def _scattered(start, shape):
    """Return numbers that look random and are the same in every version of NumPy."""
    index = np.arange(start, start + np.prod(shape), dtype=np.uint32).reshape(shape)
    return (index * np.uint32(2654435761)) >> 16


def _make_tiny():
    def batch(start, size):
        value = _scattered(start, (size, 28, 28, 1))
        image = np.where(value % 50 == 0, value >> 8, 0).astype(np.uint8)
        return Batch(image, (_scattered(start, (size,)) % 10).astype(np.int32))

    splits = batch(0, 50), batch(1_000_000, 20)
    train, test = (
        Split(len(b.label), *(hashlib.sha256(a.tobytes()).hexdigest() for a in b))
        for b in splits
    )
    return Tiny(catalog.CATALOG["mnist"]._replace(train=train, test=test), splits)


_TINY = _make_tiny()


@pytest.fixture
def tiny(monkeypatch):
    """A stand-in for MNIST: 50 and 20 images of scattered dots."""
    monkeypatch.setitem(catalog.CATALOG, "mnist", _TINY.entry)
    return _TINY


@pytest.fixture(scope="session")
def tiny_prepared(tmp_path_factory):
    """A TFDS root folder with the tiny MNIST prepared; copy it before changing it."""
    root = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FDL_CACHE_DIR", str(root / "cache"))
        builder.write(*_TINY, root)
    return root


def idx_bytes(array, *, compress=True):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(np.uint8).tobytes()
    return gzip.compress(data, mtime=0) if compress else data


@pytest.fixture
def original_files():
    """Return a function from two splits to the bytes of their four original files."""

    def make(splits, *, compress=True):
        return {
            name: idx_bytes(array, compress=compress)
            for files, arrays in (
                (idx.IMAGE_FILES, [batch.image[..., 0] for batch in splits]),
                (idx.LABEL_FILES, [batch.label for batch in splits]),
            )
            for name, array in zip(files, arrays, strict=True)
        }

    return make


@pytest.fixture
def write_originals(original_files):
    """Return a function that writes the four original files of two splits."""

    def write(folder, splits, *, compress=True, dotted=False):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in original_files(splits, compress=compress).items():
            name = name.replace("-idx", ".idx") if dotted else name
            (folder / (f"{name}.gz" if compress else name)).write_bytes(data)
        return folder

    return write


@pytest.fixture
def assert_same():
    """Return a function that checks that a dataset has the arrays of two splits.

    The last sixth of the training set is held out.
    """

    def check(data, splits):
        train, test = splits
        cut = len(train.label) - round(len(train.label) / 6)
        for got, expected, rows in (
            (data.train, train, slice(cut)),
            (data.validation, train, slice(cut, None)),
            (data.test, test, slice(None)),
        ):
            for name, dtype in (("image", np.uint8), ("label", np.int32)):
                array = getattr(got, name)
                assert array.dtype == dtype
                assert not array.flags.writeable
                np.testing.assert_array_equal(array, getattr(expected, name)[rows])

    return check
