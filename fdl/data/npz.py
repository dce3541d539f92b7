"""`npz:FILE`: a dataset in one file of NumPy arrays."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from fdl.arrays import DataError
from fdl.data.dataset import Dataset
from fdl.data.images import bring_all
from fdl.data.numpy_files import read_arrays
from fdl.data.own import PARTS, Part, assemble
from fdl.data.source import Source, Status
from fdl.plain import Fit
from fdl.untrusted import shortened

_INPUTS = ("image", "images", "x", "inputs", "data", "features")
_TARGETS = ("label", "labels", "y", "targets")
_PARTS = {"": "train", "train": "train", "test": "test"} | dict.fromkeys(
    ("validation", "valid", "val", "dev"), "validation"
)


@dataclasses.dataclass(frozen=True)
class ArrayFile(Source):
    """Arrays in a file written by `numpy.savez`.

    Their names are `image` and `label`, or `x` and `y`, as in Keras. Parts are named by
    a further word: `x_train`, `x_test` and `x_validation`, or `train_images` and so on,
    as in MedMNIST; without one, the arrays are the training part.

    Attributes:
        name: The line that names the source.
        path: The file.
        size: Height and width of the images; None for their own.
        channels: 1 for gray, 3 for color; None for their own.
        fit: How `fdl predict` fits photographs to the images: `pad`, `crop`, or `digit`
            if they are framed like those of MNIST.
    """

    path: Path
    size: tuple[int, int] | None = None
    channels: int | None = None
    fit: Fit = "pad"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read the arrays; nothing in the file is executed."""
        arrays = read_arrays(self.path)
        title = self.path.stem
        form = self.like_image(self.size, self.channels)
        parts = {
            part: Part(
                bring_all(f"{title}: {inputs}", arrays[inputs], *form), arrays[targets]
            )
            for part, (inputs, targets) in _names(self.path, arrays).items()
        }
        return assemble(
            parts,
            name=self.name,
            title=title,
            source=f"file {self.path}",
            like=self.like,
            fit=self.fit,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Read the arrays, since there is no other way to count examples."""
        try:
            info = self.load(None, download=False).info
        except DataError as error:
            return Status(self.name, self.path.stem, 0, 0, False, str(error))
        counts = info.train_count + info.validation_count, info.test_count
        return Status(self.name, info.title, *counts, True, str(self.path))


def _names(path: Path, found: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the names of the inputs and targets of each part in a file.

    Example:
        >>> _names(Path("a.npz"), ["x_train", "y_train", "x_test", "y_test"])
        {'train': ('x_train', 'y_train'), 'test': ('x_test', 'y_test')}
    """
    inputs, targets = {}, {}
    for name in found:
        words = name.lower().split("_")
        for stem, part in ((words[0], words[1:]), (words[-1], words[:-1])):
            part = _PARTS.get("_".join(part))
            if part is not None and stem in _INPUTS:
                inputs[part] = name
            if part is not None and stem in _TARGETS:
                targets[part] = name
    if "train" not in inputs or inputs.keys() != targets.keys():
        raise DataError(
            f"{path} holds the arrays {shortened(', '.join(found))}: expected image "
            "and label, or x_train and y_train, and optionally the same for validation "
            "and test."
        )
    return {part: (inputs[part], targets[part]) for part in PARTS if part in inputs}
