"""The examples that a run's weights have seen, to refuse testing on them.

The name of a data set does not reveal the same images in another folder, or images that
one run trained on and the next holds out. So each run stores a hash of each input, and
passes on those of the run that it started from.
"""

import functools
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import UInt64

from fdl.arrays import PyTree
from fdl.data import DataError, Dataset
from fdl.runs.errors import RunError
from fdl.runs.seal import read_sealed, write_sealed
from fdl.weights import Declared, WeightsError

_log = logging.getLogger(__name__)

_TOLERATED = 0.01  # share of a part that may have been seen, such as blank images

_MOST = 1 << 27  # hashes: a gigabyte

Hashes = UInt64[np.ndarray, " inputs"]


class Seen(NamedTuple):
    """Distinct hashes of inputs, sorted.

    Attributes:
        trained: Inputs that weights were trained on.
        selected: Inputs that were used for model selection.
    """

    trained: Hashes
    selected: Hashes


NOTHING = Seen(np.zeros(0, np.uint64), np.zeros(0, np.uint64))


def seen_of(dataset: Dataset, before: Seen = NOTHING) -> Seen:
    """Return the inputs seen in a training, and before it by its initial weights.

    Example:
        >>> from fdl.data import from_arrays
        >>> data = from_arrays(np.eye(12).reshape(12, 3, 4), [0, 1] * 6)
        >>> [len(hashes) for hashes in seen_of(data, seen_of(data))]
        [10, 0]
    """
    return Seen(
        np.union1d(before.trained, _hashes(dataset.train)),
        np.union1d(before.selected, _hashes(dataset.validation)),
    )


def keep_seen(folder: Path, seen: Seen) -> None:
    """Write `seen.safetensors`."""
    write_sealed(folder / "seen.safetensors", seen._asdict())


def load_seen(folder: Path) -> Seen:
    """Return the inputs that a run's weights have seen; `NOTHING` if not recorded.

    Raises:
        RunError: If its file is damaged.
    """
    file = folder / "seen.safetensors"
    if not file.is_file():
        return NOTHING
    try:
        found = read_sealed(file, functools.partial(_require_hashes, file))
    except WeightsError as error:
        raise RunError(str(error)) from error
    return Seen(**found)


def _require_hashes(file: Path, arrays: Mapping[str, Declared]) -> None:
    """Raise WeightsError unless arrays are hashes."""
    right = arrays.keys() == set(Seen._fields) and all(
        len(each.shape) == 1 and each.shape[0] <= _MOST and each.dtype == "uint64"
        for each in arrays.values()
    )
    if not right:
        raise WeightsError(f"{file} is damaged: its arrays are not hashes.")


def require_new(
    dataset: Dataset, seen: Seen, what: Path | str, *, training: bool
) -> None:
    """Raise DataError for evaluation on inputs that weights have seen.

    Args:
        dataset: The data to evaluate on.
        seen: The inputs that the weights have seen.
        what: The run or file of the weights, for the message.
        training: Whether its training part will be trained on. Inputs that are also in
            that part are then ignored: they would be seen anyway, which `fdl data
            check` reports.

    Raises:
        DataError: If more than 1 % of the test part was used for training or selection,
            or of the validation part for training. Fewer cause a warning.
    """
    either = np.union1d(seen.trained, seen.selected)
    own = _hashes(dataset.train if training else None)
    for part, examples, known in (
        ("validation", dataset.validation, seen.trained),
        ("test", dataset.test, either),
    ):
        hashes = _hashes(examples, each=True)
        count = int((np.isin(hashes, known) & ~np.isin(hashes, own)).sum())
        if not count:
            continue
        remedy = (
            "use another data set"
            if part == "test"
            else "hold out nothing (--validation none), or what that run held out"
        )
        said = (
            f"{count:,} of the {len(hashes):,} {part} inputs of {dataset.info.title} "
            f"are among those that {what} has seen in training"
        )
        if count > _TOLERATED * len(hashes):
            raise DataError(f"{said}: the result would be meaningless; {remedy}.")
        _log.warning("%s", said)


def _hashes(part: PyTree, *, each: bool = False) -> Hashes:
    """Return a hash of the first array of each example; by default distinct, sorted."""
    if part is None:
        return np.zeros(0, np.uint64)
    rows = np.ascontiguousarray(jax.tree.leaves(part)[0])
    digests = b"".join(
        hashlib.blake2b(row.data, digest_size=8).digest() for row in rows
    )
    hashes = np.frombuffer(digests, np.uint64)
    return hashes if each else np.unique(hashes)
