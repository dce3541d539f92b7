"""`fdl data list`, `show`, `check` and `prepare`."""

import dataclasses
from typing import Annotated, Any

import tyro
from rich.table import Table

from fdl import data
from fdl.cli.command import (
    AnswerIsNoError,
    Command,
    OptionalName,
    OptionalPath,
    out,
)


@dataclasses.dataclass(frozen=True)
class DataList(Command):
    """List the data sets, and where they lie on this computer.

    Attributes:
        data_dir: Folder to look in, before the usual places.
    """

    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Print the table."""
        table = Table("data set", "train", "test", "here")
        table.add_column("where, or what to do", overflow="fold")
        for row in data.status(data_dir=self.data_dir):
            here = "yes" if row.available else "no"
            table.add_row(
                row.name, f"{row.train_count:,}", f"{row.test_count:,}", here, row.where
            )
        out.print(table)


@dataclasses.dataclass(frozen=True)
class DataPrepare(Command):
    """Write a data set as the folder that TensorFlow Datasets would prepare.

    Attributes:
        name: Which data set.
        source: Folder with its four original files; downloaded if not given.
        data_dir: Where to write; TensorFlow Datasets' own folder if not given.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    source: OptionalPath = None
    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Prepare it."""
        path = data.prepare(self.name, source=self.source, data_dir=self.data_dir)
        out.print(f"{self.name} is ready in {path}", soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class OfDataset(Command):
    """A command about what is in a data set.

    Attributes:
        name: A name that `fdl data list` lists, or data of your own, such as
            `folder:PATH`.
        size: Height and width of the images of a folder, such as `64` or `48x64`.
        skip_bad: Leave out pictures of a folder that cannot be read.
        target: Column that is to be told, of a table.
        data_dir: Folder to look in, before the usual places.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    size: OptionalName = None
    skip_bad: bool = False
    target: OptionalName = None
    data_dir: OptionalPath = None

    def dataset(self) -> data.Dataset:
        """Return it, with nothing held out that is not held out already."""
        source = data.find(
            self.name,
            size=self.size,
            skip_bad=self.skip_bad or None,
            target=self.target,
        )
        return source.load(data.existing(self.data_dir), download=True)


@dataclasses.dataclass(frozen=True)
class DataShow(OfDataset):
    """Show what is in a data set: numbers, classes, duplicates.

    Attributes:
        to: File for a PNG picture of the first images of each class.
    """

    to: OptionalPath = None

    def __call__(self) -> None:
        """Print the summary."""
        out.print(str(self.dataset().describe(sheet=self.to)), soft_wrap=True)
        if self.to is not None:
            out.print(f"first images of each class: {self.to}", soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class DataCheck(OfDataset):
    """Check that a data set can be trained on, and that no example is in two parts.

    Exits with 2 if it cannot be read, and with 1 if examples are in two parts, or have
    more than one class.
    """

    def __call__(self) -> None:
        """Check it."""
        dataset = self.dataset()
        data.check(dataset.train)
        found = dataset.describe()
        faults = [
            f"{count:,} of {found.counts[part]:,} {part} examples are also {within} "
            "examples, so figures on them mean little"
            for part, within, count in found.leaks
        ]
        if found.contradictions and found.classes:
            faults.append(f"{found.contradictions:,} inputs have more than one class")
        if faults:
            raise AnswerIsNoError(f"{found.title}: {'; '.join(faults)}.")
        counts = ", ".join(f"{part} {n:,}" for part, n in found.counts.items())
        out.print(f"{found.title}: no faults found ({counts})", soft_wrap=True)


def commands() -> Any:
    """Return `fdl data list` and its siblings, as a union of subcommands."""
    return (
        Annotated[DataList, tyro.conf.subcommand("list")]
        | Annotated[DataShow, tyro.conf.subcommand("show")]
        | Annotated[DataCheck, tyro.conf.subcommand("check")]
        | Annotated[DataPrepare, tyro.conf.subcommand("prepare")]
    )
