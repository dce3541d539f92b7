"""The places on this computer where a dataset may lie, in the order of preference."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fdl.data import cache, idx, tfds
from fdl.data.catalog import Entry, Splits
from fdl.files import expanded

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
    """Return the folders of datasets, and of each whether the user named it."""
    own = os.environ.get("FDL_DATA_DIR")
    named = [folder, expanded(own) if own else None]
    return [
        *((root, True) for root in named if root is not None),
        (_SYSTEM, False),
        (cache.originals(), False),
    ]
