"""What a source of data is: what every kind of it can do."""

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


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a dataset comes from, as `fdl.data.find` makes it of one line.

    Attributes:
        name: The line that names it, from any folder of this computer.
        like: What another dataset is, in whose form this one is to be read; None for
            its own form.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ()
    """What can be said after a name of `fdl.data.names`, as fields of the source."""

    name: str
    like: DatasetInfo | None = dataclasses.field(default=None, kw_only=True)

    def like_image(
        self, size: tuple[int, int] | None, channels: int | None
    ) -> tuple[tuple[int, int] | None, int | None]:
        """Return a size and channels of images: those of the other dataset for None."""
        if self.like is None or self.like.kind != "image":
            return size, channels
        height, width, depth = self.like.input_shape
        return size or (height, width), channels or depth

    @property
    def hold_out(self) -> HoldOut:
        """Which training examples validation takes, if the source has no such part."""
        return "stratified"

    @classmethod
    def place(cls, text: str) -> PurePath:
        """Return the place that a line names after its scheme, for use anywhere.

        Raises:
            DataError: If it can be none.
        """
        return expanded(text).absolute()

    @abstractmethod
    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Return the dataset, with nothing held out that is not held out already.

        Args:
            data_dir: Folder to look in first.
            download: Whether the network may be used.

        Raises:
            DataError: If it cannot be had; says what to do.
        """

    @abstractmethod
    def status(self, data_dir: Path | None) -> Status:
        """Return what can be told at a glance; raises nothing."""

    def prepare(self, source: Path | None, data_dir: Path | None) -> Path:
        """Write the directory that TensorFlow Datasets would prepare.

        Raises:
            DataError: If the source is none that TFDS knows, or the files cannot be
                had.
        """
        raise DataError(
            f"{self.name} is not published as original files: there is nothing to "
            f"prepare, load({self.name!r}) reads it as it is"
        )
