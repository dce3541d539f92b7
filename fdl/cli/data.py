"""`fdl data`: list, show, check and prepare data sets."""

import dataclasses
from typing import Annotated, Any

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import (
    AnswerIsNoError,
    Command,
    OptionalFormat,
    OptionalName,
    OptionalPath,
    out,
    picture,
)


@dataclasses.dataclass(frozen=True)
class DataList(Command):
    """List the data sets, and where they are on this computer.

    Attributes:
        data_dir: Folder to search before the usual places.
    """

    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Print the table."""
        table = Table("data set", "train", "test", "here")
        table.add_column("where, or what to do", overflow="fold")
        for row in fdl.data.status(data_dir=self.data_dir):
            here = "yes" if row.available else "no"
            table.add_row(
                row.name, f"{row.train_count:,}", f"{row.test_count:,}", here, row.where
            )
        out.print(table)


@dataclasses.dataclass(frozen=True)
class DataPrepare(Command):
    """Write a data set as the folder that TensorFlow Datasets would prepare.

    Attributes:
        name: Name of the data set.
        source: Folder with its four original files; downloaded if not given.
        data_dir: Folder to write to; TensorFlow Datasets' own folder if not given.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    source: OptionalPath = None
    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Prepare it."""
        path = fdl.data.prepare(self.name, source=self.source, data_dir=self.data_dir)
        out.print(f"{self.name} is ready in {path}", soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class OfDataset(Command):
    """A command for one data set.

    Attributes:
        name: A name from `fdl data list`, or your own data, such as `folder:PATH` or
            `csv:FILE`.
        target: Column of a CSV or TSV file, or member of JSON lines, to predict.
        source: Column of a TSV file, or member of JSON lines, to predict the target
            from.
        text: Column or member with the text, for text classification.
        size: Height and width to resize your own images to, such as `64` or `48x64`.
        skip_bad: Skip unreadable pictures of a folder.
        copies: List all examples that are equal, a line for each group: the files of
            pictures in folders, else part and row.
        data_dir: Folder to search before the usual places.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    target: OptionalName = None
    source: OptionalName = None
    text: OptionalName = None
    size: OptionalName = None
    skip_bad: bool = False
    copies: bool = False
    data_dir: OptionalPath = None

    def load(self) -> Any:
        """Return the data set, with its own validation part, if it has one."""
        source = fdl.data.find(
            self.name,
            target=self.target,
            source=self.source,
            text=self.text,
            size=self.size,
            skip_bad=self.skip_bad or None,
        )
        return source.load(fdl.data.existing(self.data_dir), download=True)

    def print_copies(self, described: Any) -> None:
        """Print the copies in a data set, if they are asked for."""
        for line in described.copies() if self.copies else ():
            out.print(line, soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class DataShow(OfDataset):
    """Describe a data set: counts, shapes, class balance, duplicates.

    Attributes:
        to: Picture to write, with some images of each class; its extension sets the
            format.
        format: Format of the picture.
    """

    to: OptionalPath = None
    format: OptionalFormat = None

    def __call__(self) -> None:
        """Describe it."""
        dataset = self.load()
        described = dataset.describe()
        out.print(str(described), soft_wrap=True)
        self.print_copies(described)
        if self.to is not None:
            to = picture(self.to, self.format)
            fdl.data.draw_contact_sheet(dataset, to)
            out.print(f"contact sheet written to {to}", soft_wrap=True)


@dataclasses.dataclass(frozen=True)
class DataCheck(OfDataset):
    """Check a data set; exit with 1 if two parts share inputs."""

    def __call__(self) -> None:
        """Check it, and print the counts."""
        found = self.load().describe()
        self.print_copies(found)
        if found.leaks:
            raise AnswerIsNoError(
                f"{found.info.title}: {'; '.join(found.leak_lines())}"
            )
        counts = ", ".join(f"{n:,} {part}" for part, n in found.counts.items())
        out.print(f"{found.info.title} is good: {counts} examples", soft_wrap=True)


def commands() -> Any:
    """Return the subcommands of `fdl data`, as a union."""
    return (
        Annotated[DataList, tyro.conf.subcommand("list")]
        | Annotated[DataShow, tyro.conf.subcommand("show")]
        | Annotated[DataCheck, tyro.conf.subcommand("check")]
        | Annotated[DataPrepare, tyro.conf.subcommand("prepare")]
    )
