"""Base class of all sources of data."""

import dataclasses
from abc import abstractmethod
from pathlib import Path, PurePath
from typing import ClassVar, NamedTuple

from fdl.arrays import DataError
from fdl.data.catalog import HoldOut
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.files import expanded


class Status(NamedTuple):
    """Whether a dataset can be loaded right now.

    Attributes:
        name: Name for `load`.
        title: Display name.
        train_count: Number of published training examples.
        test_count: Number of test examples.
        available: Whether it is on this computer.
        where: Place from which it would be loaded; if there is none, what to do.
    """

    name: str
    title: str
    train_count: int
    test_count: int
    available: bool
    where: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a dataset comes from, as `fdl.data.find` returns it for a line.

    Attributes:
        name: The line that names the source, valid in any folder of this computer.
        like: Description of another dataset, in whose form to read this one; None for
            its own form.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ()
    """Fields that can be options after a name of `fdl.data.names`."""

    name: str
    like: DatasetInfo | None = dataclasses.field(default=None, kw_only=True)

    def like_image(
        self, size: tuple[int, int] | None, channels: int | None
    ) -> tuple[tuple[int, int] | None, int | None]:
        """Return size and channels of images, with those of `like` in place of None."""
        if self.like is None or self.like.kind != "image":
            return size, channels
        height, width, depth = self.like.input_shape
        return size or (height, width), channels or depth

    @property
    def hold_out(self) -> HoldOut:
        """Which training examples to hold out, if there is no validation part."""
        return "stratified"

    @classmethod
    def place(cls, text: str) -> PurePath:
        """Return the place that a line names after its scheme, as an absolute path.

        Raises:
            DataError: If the text is not a valid place.
        """
        return expanded(text).absolute()

    @abstractmethod
    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Return the dataset as it is published, before further examples are held out.

        Args:
            data_dir: Folder to look in first.
            download: Whether the network may be used.

        Raises:
            DataError: If it cannot be loaded; the message says what to do.
        """

    @abstractmethod
    def status(self, data_dir: Path | None) -> Status:
        """Return the status of the dataset, from a quick look; never raise."""

    def prepare(self, source: Path | None, data_dir: Path | None) -> Path:
        """Write the directory that TensorFlow Datasets would prepare.

        Raises:
            DataError: If TFDS does not support the source, or the files are not
                available.
        """
        raise DataError(
            f"{self.name} is not published as original files: there is nothing to "
            f"prepare, load({self.name!r}) reads it as it is."
        )
