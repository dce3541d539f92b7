"""The table of datasets that are published as archives, and how each is read.

Sizes and sha256 sums are those that tensorflow_datasets 4.9.10 records for the
published files; every file is verified before it is read.
"""

import functools
import gzip
import io
import math
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.data.own import Part
from fdl.plain import Fit

Contents = tuple[Mapping[str, Part], tuple[str, ...]]
"""The parts of a dataset by name, and the names of its classes."""


class File(NamedTuple):
    """A published file.

    Attributes:
        name: Its name.
        size: Number of bytes.
        sha256: Its checksum.
        folder: URL of the folder that it is published in.
    """

    name: str
    size: int
    sha256: str
    folder: str


class Archive(NamedTuple):
    """One row of the table.

    Attributes:
        title: Display name.
        prepared: Name in TFDS, `NAME` or `NAME/CONFIG`; empty if TFDS does not have it
            in this form.
        folder: Name of the folder of its files, below a folder of datasets.
        files: The published files.
        read: Returns parts and class names from the contents of the files.
        counts: Numbers of training and of test examples.
        upright: Corrects the orientation of images that TFDS has prepared.
        fit: As in `DatasetInfo`; `"digit"` implies light on dark.
        names: Class names for use where TFDS only has numbers; empty if it has names.
    """

    title: str
    prepared: str
    folder: str
    files: tuple[File, ...]
    read: Callable[[Mapping[str, bytes]], Contents]
    counts: tuple[int, int]
    upright: Callable[[np.ndarray], np.ndarray] = lambda images: images
    fit: Fit = "pad"
    names: tuple[str, ...] = ()


def read_idx(data: bytes, name: str) -> np.ndarray:
    """Read a gzip-compressed IDX file of bytes as an array.

    Raises:
        DataError: If the file has another format.
    """
    data = gzip.decompress(data)
    rank = data[3] if data[:3] == b"\x00\x00\x08" else 0
    shape = struct.unpack_from(f">{rank}I", data, 4)
    if not rank or len(data) != 4 + 4 * rank + math.prod(shape):
        raise DataError(f"{name}: not an IDX file of bytes.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _kmnist(files: Mapping[str, bytes]) -> Contents:
    arrays = {name: read_idx(data, name) for name, data in files.items()}
    parts = {
        part: Part(
            arrays[f"{prefix}-images-idx3-ubyte.gz"],
            arrays[f"{prefix}-labels-idx1-ubyte.gz"],
        )
        for part, prefix in (("train", "train"), ("test", "t10k"))
    }
    return parts, ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def _emnist(which: str, files: Mapping[str, bytes]) -> Contents:
    (data,) = files.values()
    parts = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for part in ("train", "test"):
            images, labels = (
                read_idx(archive.read(f"gzip/{name}"), name)
                for name in (
                    f"emnist-{which}-{part}-images-idx3-ubyte.gz",
                    f"emnist-{which}-{part}-labels-idx1-ubyte.gz",
                )
            )
            first = 1 if which == "letters" else 0  # letters are counted from 1
            parts[part] = Part(transposed(images), labels.astype(np.int32) - first)
    return parts, _EMNIST_CLASSES[which]


def transposed(images: np.ndarray) -> np.ndarray:
    """Swap rows and columns of images, since EMNIST's files are transposed."""
    return np.ascontiguousarray(images.swapaxes(1, 2))


def _cifar(
    files: Mapping[str, bytes], *, labels: int, members: Mapping[str, int], names: str
) -> Contents:
    """Read CIFAR's binary version: for each image its labels, then red, green, blue."""
    (data,) = files.values()
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                found[member.name.rpartition("/")[2]] = file.read()
    record = labels + 3 * 32 * 32
    parts = {}
    for part, count in members.items():
        wanted = [f"data_batch_{n + 1}.bin" for n in range(count)]
        wanted = wanted if count > 1 else [f"{part}.bin", f"{part}_batch.bin"]
        content = b"".join(found[name] for name in wanted if name in found)
        rows = np.frombuffer(content, np.uint8).reshape(-1, record)
        images = rows[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        parts[part] = Part(np.ascontiguousarray(images), rows[:, labels - 1])
    return parts, tuple(found[names].decode().split())


def _svhn(files: Mapping[str, bytes]) -> Contents:
    from scipy.io import loadmat

    parts = {}
    for part in ("train", "test"):
        arrays = loadmat(io.BytesIO(files[f"{part}_32x32.mat"]))
        images = np.ascontiguousarray(np.moveaxis(arrays["X"], -1, 0))
        parts[part] = Part(images, arrays["y"].ravel() % 10)  # label 10 is the digit 0
    return parts, tuple("0123456789")


_UPPER = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = tuple("abcdefghijklmnopqrstuvwxyz")
_DIGITS = tuple("0123456789")
_MERGED = (*_DIGITS, *_UPPER, *"abdefghnqrt")  # the others look like capitals
_EMNIST_CLASSES = {
    "byclass": (*_DIGITS, *_UPPER, *_LOWER),
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": _LOWER,
    "digits": _DIGITS,
    "mnist": _DIGITS,
}
_EMNIST_COUNTS = {
    "byclass": (697_932, 116_323),
    "bymerge": (697_932, 116_323),
    "balanced": (112_800, 18_800),
    "letters": (124_800, 20_800),
    "digits": (240_000, 40_000),
    "mnist": (60_000, 10_000),
}

_CODH = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_STANFORD = "http://ufldl.stanford.edu/housenumbers/"
_NIST = File(
    "gzip.zip",
    561_753_746,
    "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    "https://biometrics.nist.gov/cs_links/EMNIST/",
)

ARCHIVES = {
    "kmnist": Archive(
        title="Kuzushiji-MNIST",
        prepared="kmnist",
        folder="kmnist",
        files=(
            File(
                "train-images-idx3-ubyte.gz",
                18_165_135,
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                _CODH,
            ),
            File(
                "train-labels-idx1-ubyte.gz",
                29_497,
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                _CODH,
            ),
            File(
                "t10k-images-idx3-ubyte.gz",
                3_041_136,
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                _CODH,
            ),
            File(
                "t10k-labels-idx1-ubyte.gz",
                5_120,
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                _CODH,
            ),
        ),
        read=_kmnist,
        counts=(60_000, 10_000),
        fit="digit",
    ),
    **{
        f"emnist-{which}": Archive(
            title=f"EMNIST {which}",
            prepared=f"emnist/{which}",
            folder="emnist",
            files=(_NIST,),
            read=functools.partial(_emnist, which),
            counts=counts,
            upright=transposed,
            fit="digit",
            names=_EMNIST_CLASSES[which],
        )
        for which, counts in _EMNIST_COUNTS.items()
    },
    "cifar10": Archive(
        title="CIFAR-10",
        prepared="cifar10",
        folder="cifar10",
        files=(
            File(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                _TORONTO,
            ),
        ),
        read=functools.partial(
            _cifar, labels=1, members={"train": 5, "test": 1}, names="batches.meta.txt"
        ),
        counts=(50_000, 10_000),
    ),
    "cifar100": Archive(
        title="CIFAR-100",
        prepared="cifar100",
        folder="cifar100",
        files=(
            File(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                _TORONTO,
            ),
        ),
        read=functools.partial(
            _cifar,
            labels=2,
            members={"train": 1, "test": 1},
            names="fine_label_names.txt",
        ),
        counts=(50_000, 10_000),
    ),
    "svhn": Archive(
        title="SVHN, cropped digits",
        prepared="svhn_cropped",
        folder="svhn",
        files=(
            File(
                "train_32x32.mat",
                182_040_794,
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                _STANFORD,
            ),
            File(
                "test_32x32.mat",
                64_275_384,
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                _STANFORD,
            ),
        ),
        read=_svhn,
        counts=(73_257, 26_032),
    ),
}
