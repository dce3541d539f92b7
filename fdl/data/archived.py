"""Datasets published as archives: prepared by TFDS, read from files, or downloaded."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from fdl.arrays import DataError
from fdl.data import cache, places, tfds
from fdl.data.archives import Archive, Contents, File
from fdl.data.dataset import Dataset
from fdl.data.download import receive
from fdl.data.own import assemble
from fdl.data.prepared_examples import read_examples
from fdl.data.prepared_source import find_version
from fdl.data.source import Source, Status


@dataclasses.dataclass(frozen=True)
class Archived(Source):
    """A dataset from the table of archives.

    Attributes:
        name: Its name.
        archive: Its row of the table.
    """

    archive: Archive

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Load it by the first route that works."""
        tried = []
        if self.archive.prepared:
            root = data_dir or tfds.default_root()
            try:
                version = find_version(self.archive.prepared, root)
            except DataError:
                where = root / self.archive.prepared
                tried.append(f"TFDS directory {where}: nothing there")
            else:
                found = read_examples(version, turn=self.archive.upright)
                known = len(self.archive.names) == len(found.names)
                contents = found.parts, self.archive.names if known else found.names
                return self._dataset(contents, f"TFDS directory {version}")
        for folder, named in self._folders(data_dir):
            if not any((folder / file.name).is_file() for file in self.archive.files):
                tried.append(f"original files in {folder}: nothing there")
                continue
            try:
                contents = self.archive.read(read_files(self.archive.files, folder))
            except DataError as error:
                if named:
                    raise
                tried.append(str(error))
            else:
                return self._dataset(contents, f"original files in {folder}")
        if download:
            try:
                files = fetch(self.archive)
                return self._dataset(self.archive.read(files), "downloaded")
            except DataError as error:
                tried.append(f"download: {error}")
        else:
            tried.append("download: not allowed (download=False)")
        raise DataError(self._not_found(tried))

    def status(self, data_dir: Path | None) -> Status:
        """Look for files by name."""
        archive = self.archive
        where, there = f"fdl data prepare {self.name} (downloads it)", False
        for folder, _ in self._folders(data_dir):
            if all((folder / file.name).is_file() for file in archive.files):
                where, there = f"original files in {folder}", True
                break
        if archive.prepared:
            root = data_dir or tfds.default_root()
            with contextlib.suppress(DataError):
                version = find_version(archive.prepared, root)
                where, there = f"TFDS directory {version}", True
        return Status(self.name, archive.title, *archive.counts, there, where)

    def prepare(self, source: Path | None, data_dir: Path | None) -> Path:
        """Download the original files to where `load` finds them."""
        if source is not None or data_dir is not None:
            raise DataError(
                f"{self.name} is stored as its original files in "
                f"{_kept(self.archive)}: prepare it without a source or a folder."
            )
        fetch(self.archive)
        return _kept(self.archive)

    def _dataset(self, contents: Contents, source: str) -> Dataset:
        parts, names = contents
        return assemble(
            parts,
            name=self.name,
            title=self.archive.title,
            source=source,
            class_names=names,
            fit=self.archive.fit,
        )

    def _folders(self, data_dir: Path | None) -> Iterator[tuple[Path, bool]]:
        """Yield the folders where files may be, and whether the user named them."""
        for root, named in places.roots(data_dir):
            for folder in (self.archive.folder, f"text/{self.archive.folder}", ""):
                yield root / folder, named

    def _not_found(self, tried: list[str]) -> str:
        archive = self.archive
        files = " and ".join(file.name for file in archive.files)
        return "\n  - ".join(
            [
                f"{archive.title} was not found. Tried:",
                *dict.fromkeys(tried),
            ]
        ) + "\n  - ".join(
            [
                "\nRemedies:",
                f"go online once: load({self.name!r}) downloads {files}",
                f"put {files} (from {archive.files[0].folder}) in a folder named "
                f"{archive.folder}, and set data_dir or FDL_DATA_DIR to its parent "
                "folder",
            ]
        )


def read_files(files: tuple[File, ...], folder: Path) -> dict[str, bytes]:
    """Read original files, verify their checksums, and return their contents by name.

    Raises:
        DataError: If a file is missing, or is not the published one.
    """
    contents = {}
    for file in files:
        path = folder / file.name
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size == file.size else b""
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
        _require_published(file, size, data, str(path))
        contents[file.name] = data
    return contents


def fetch(archive: Archive) -> Mapping[str, bytes]:
    """Download, verify and store the original files; return their contents.

    Raises:
        DataError: If a file cannot be downloaded, or is not the published one.
    """
    contents = {}
    kept = _kept(archive)
    own = os.environ.get(f"FDL_{archive.folder.upper()}_URL")
    for file in archive.files:
        url = (own or file.folder) + file.name
        data = receive(url, most=file.size)
        _require_published(file, len(data), data, url)
        cache.keep(kept / file.name, data)
        contents[file.name] = data
    return contents


def _kept(archive: Archive) -> Path:
    return cache.originals() / archive.folder


def _require_published(file: File, size: int, data: bytes, where: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if size != file.size or found != file.sha256:
        raise DataError(
            f"{where}: not the published file: it has {size:,} bytes"
            + (f" with sha256 {found}" if size == file.size else "")
            + f", expected {file.size:,} with {file.sha256}. Replace it with an "
            "undamaged copy."
        )
