"""Places on this computer where a dataset may be, in order of preference."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fdl.data import cache, idx, tfds
from fdl.data.catalog import Entry, Splits
from fdl.files import expanded

# Where Debian packages install data, for example dataset-fashion-mnist.
_SYSTEM = Path("/usr/share/datasets")


class Place(NamedTuple):
    """A place that may hold a dataset.

    Attributes:
        title: What the place would hold.
        root: Folder to search.
        there: Folder to read; None if nothing is there.
        problem: Returns why the folder cannot be read, from a quick look; None if it
            seems complete.
        read: Returns the verified arrays.
        named: Whether the user named the place; damaged data there are an error, and
            are not skipped.
    """

    title: str
    root: Path
    there: Path | None
    problem: Callable[[Path], str | None]
    read: Callable[[Path], Splits]
    named: bool


def places(entry: Entry, folder: Path | None) -> list[Place]:
    """Return the places where the dataset may be, given the user's folder, if any."""
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
    """Return the places where the original files may be."""
    return [
        Place(
            title="original files in",
            root=root,
            there=idx.locate(entry, root),
            problem=idx.problem,
            read=functools.partial(idx.read, entry),
            named=named,
        )
        for root, named in roots(folder)
    ]


def roots(folder: Path | None) -> list[tuple[Path, bool]]:
    """Return the folders of datasets, and whether the user named each."""
    own = os.environ.get("FDL_DATA_DIR")
    named = [folder, expanded(own) if own else None]
    return [
        *((root, True) for root in named if root is not None),
        (_SYSTEM, False),
        (cache.originals(), False),
    ]
