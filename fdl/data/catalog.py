"""The table of datasets: what each is, where it is published, and its exact contents.

Every route of loading yields the same arrays, which are verified against this table:
one sha256 of the uint8 images and one of the int32 labels for each split.
"""

import hashlib
from typing import Literal, NamedTuple

import numpy as np

from fdl.arrays import Array, Batch, DataError
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.plain import Fit

IMAGE_SHAPE = (28, 28, 1)

TFDS_VERSION = "3.0.1"
"""Version of each dataset of the table in TensorFlow Datasets."""

Splits = tuple[Batch, Batch]
"""Training set and test set, as published."""

HoldOut = Literal["last", "stratified"]
"""Which training examples are held out for validation; see `fdl.data.splits`."""


class Split(NamedTuple):
    """Number of examples of a split, and the sha256 of its images and labels."""

    size: int
    image: str
    label: str


class Entry(NamedTuple):
    """One row of the table.

    Attributes:
        name: Name for `load`, which is also the name in TFDS.
        title: Display name.
        class_names: Name of each class.
        train: Contents of the training set.
        test: Contents of the test set.
        addresses: URLs of the folders with the four original files, best first; empty
            if the dataset comes with a Python package.
        hold_out: Which training examples are held out for validation.
        url_variable: Environment variable that replaces `addresses`.
        folders: Other names of folders, below a folder of datasets, in which other
            software stores the original files.
        overlaps: As in `DatasetInfo`.
        fit: As in `DatasetInfo`.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    addresses: tuple[str, ...] = ()
    hold_out: HoldOut = "stratified"
    url_variable: str = ""
    folders: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    fit: Fit = "pad"


_DIGITS = tuple("0123456789")

# Mirrors come before the original hosts, which have refused downloads for years.
CATALOG = {
    "mnist": Entry(
        name="mnist",
        title="MNIST",
        class_names=_DIGITS,
        train=Split(
            size=60_000,
            image="741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            label="ba2e26c82ab7a46fbcd5ec6de8eee4d541cf3829f5050669177da23b515defeb",
        ),
        test=Split(
            size=10_000,
            image="6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            label="52aa149c856ca033d02e1d2e5cc61033b4c56ed4a56f0edc328206a178c42126",
        ),
        addresses=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        hold_out="last",
        url_variable="FDL_MNIST_URL",
        folders=("MNIST/raw",),
        fit="digit",
    ),
    "fashion_mnist": Entry(
        name="fashion_mnist",
        title="Fashion-MNIST",
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train=Split(
            size=60_000,
            image="2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            label="d69b1d6e0b8064974aa5aecc2786f961b8b2be829ee3a39dd8989efee46cad5a",
        ),
        test=Split(
            size=10_000,
            image="c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            label="53fdd09ed9cbcd893df0e3b0af7802f2d62457de11c87273d4b4186f4992a40c",
        ),
        addresses=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        hold_out="last",
        url_variable="FDL_FASHION_MNIST_URL",
        folders=("FashionMNIST/raw", "fashion-mnist"),
    ),
    "mnist-5k": Entry(
        name="mnist-5k",
        title="mnist-5k (5,000 digits of MNIST's training set)",
        class_names=_DIGITS,
        train=Split(
            size=4_000,
            image="52454974f5606fb1cb7a0b60cb9e0026695d7a6ff73bc12b8d9b703df7aafe13",
            label="731cbe21dee4964814e8ddd4e96358cb9110a9e31371932f8b0a35ff8c7817b3",
        ),
        test=Split(
            size=1_000,
            image="05f16c885f80bb90594fc5376d4c5fdcd5d3fabe6e5d3e6085255628eecfeaa3",
            label="d21390edb7d0bcbd0623a33e49c5abc2162c6174751dcb797821bd008213a697",
        ),
        overlaps=("mnist",),
        fit="digit",
    ),
}


def checksum(entry: Entry) -> str:
    """Return one sha256 of the dataset: of its four digests, training set first."""
    digests = (*entry.train[1:], *entry.test[1:])
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def require_contents(array: np.ndarray, expected: str, where: str, what: str) -> None:
    """Raise a `DataError` unless the array's bytes have the expected sha256."""
    found = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    if found == expected:
        return
    # Datasets of this family use the same four file names.
    owners = [e.title for e in CATALOG.values() if found in (*e.train, *e.test)]
    remedy = (
        f"They are those of {owners[0]}: keep each dataset in a folder of its own name."
        if owners
        else "Replace it with an undamaged copy."
    )
    raise DataError(
        f"{where}: the contents are not {what}: sha256 {found}, expected {expected}. "
        f"{remedy}"
    )


def verify(entry: Entry, splits: Splits, where: str) -> None:
    """Raise a `DataError` unless both splits are exactly those of the table."""
    for name, batch, split in zip(
        ("training", "test"), splits, (entry.train, entry.test), strict=True
    ):
        for kind in ("image", "label"):
            require_contents(
                getattr(batch, kind),
                getattr(split, kind),
                where,
                f"the {name} {kind}s of {entry.title}",
            )


def published_info(name: str) -> DatasetInfo | None:
    """Return the description of a dataset of the table, unloaded; None for others.

    Example:
        >>> published_info("mnist").input_shape
        (28, 28, 1)
    """
    return _info(CATALOG[name], "") if name in CATALOG else None


def _info(entry: Entry, source: str) -> DatasetInfo:
    return DatasetInfo(
        name=entry.name,
        title=entry.title,
        source=source,
        num_classes=len(entry.class_names),
        class_names=entry.class_names,
        input_shape=IMAGE_SHAPE,
        train_count=entry.train.size,
        validation_count=0,
        test_count=entry.test.size,
        checksum=checksum(entry),
        overlaps=entry.overlaps,
        fit=entry.fit,
        light_on_dark=True,  # all of them
    )


def dataset(entry: Entry, published: Splits, source: str) -> Dataset:
    """Return published splits as a dataset, with nothing held out."""
    train, test = (Batch(*map(_read_only, batch)) for batch in published)
    return Dataset(train, None, test, _info(entry, source))


def _read_only(array: Array) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
