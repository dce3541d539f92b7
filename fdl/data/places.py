"""The places on this computer where a dataset may lie, in the order of preference."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fdl.arrays import DataError
from fdl.data import cache, catalog, idx, sample, text, tfds
from fdl.data.catalog import Entry, Splits

# Where Debian's packages put data, for example dataset-fashion-mnist.
_SYSTEM = Path("/usr/share/datasets")


class Place(NamedTuple):
    """A place that may hold a dataset.

    Attributes:
        title: What would be there.
        root: Where it is looked for.
        there: What to read; None when nothing is there.
        problem: Says at a glance why it cannot be read; None when it looks good.
        read: Returns the verified arrays.
        named: Whether the user named the place: then what is damaged there is an
            error, and must not be passed over.
    """

    title: str
    root: Path
    there: Path | None
    problem: Callable[[Path], str | None]
    read: Callable[[Path], Splits]
    named: bool


class Status(NamedTuple):
    """Whether a dataset can be loaded right now.

    Attributes:
        name: Name that `load` takes.
        title: Name for people.
        train_count: Number of published training examples.
        test_count: Number of test examples.
        available: Whether it is on this computer.
        where: The place it would come from; where there is none, what to do.
    """

    name: str
    title: str
    train_count: int
    test_count: int
    available: bool
    where: str


def status(*, data_dir: str | Path | None = None) -> list[Status]:
    """Return of each dataset whether and where it is on this computer.

    Looks at names and sizes only: uses no network and reads no data but Python's own.

    Args:
        data_dir: As for `load`.

    Example:
        >>> [(s.name, s.available) for s in status() if s.name == "mnist-5k"]
        [('mnist-5k', True)]
    """
    folder = existing(data_dir)
    images = [_status(entry, folder) for entry in catalog.CATALOG.values()]
    return [*images, _status_of_text()]


def existing(folder: str | Path | None) -> Path | None:
    """Return the folder that the user named, or raise if there is none."""
    if folder is None:
        return None
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder. Create it, or name another")
    return path


def places(entry: Entry, folder: Path | None) -> list[Place]:
    """Return where the dataset may lie, given the user's folder, if any."""
    version = tfds.directory(entry, folder or tfds.default_root())
    prepared = Place(
        title="TFDS directory",
        root=version,
        there=version if tfds.is_there(version) else None,
        problem=functools.partial(tfds.problem, entry),
        read=functools.partial(tfds.read, entry),
        named=folder is not None,
    )
    return [prepared, *file_places(entry, folder)]


def file_places(entry: Entry, folder: Path | None) -> list[Place]:
    """Return where the original files may lie."""
    own = os.environ.get("FDL_DATA_DIR")
    roots = [
        (folder, True),
        (Path(own).expanduser() if own else None, True),
        (_SYSTEM, False),
        (cache.originals(), False),
    ]
    return [
        Place(
            title="original files in",
            root=root,
            there=idx.locate(entry, root),
            problem=idx.problem,
            read=functools.partial(idx.read, entry),
            named=named,
        )
        for root, named in roots
        if root is not None
    ]


def _status(entry: Entry, folder: Path | None) -> Status:
    report = functools.partial(
        Status, entry.name, entry.title, entry.train.size, entry.test.size
    )
    if not entry.addresses:
        path = sample.locate()
        return report(path is not None, str(path or sample.REMEDY))
    todo = (
        f"fdl data prepare {entry.name} (downloads it), or put the four original files "
        f"in a folder {entry.name} below FDL_DATA_DIR"
    )
    for place in places(entry, folder):
        if place.there is not None:
            reason = place.problem(place.there)
            if reason is None:
                return report(True, f"{place.title} {place.there}")
            todo = reason
    return report(False, todo)


def _status_of_text() -> Status:
    try:
        info = text.load().info
    except DataError as error:
        return Status(catalog.TEXT, "language reference", 0, 0, False, str(error))
    counts = (info.train_count, info.test_count)
    return Status(info.name, info.title, *counts, True, text.locate())
