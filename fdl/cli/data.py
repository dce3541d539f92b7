"""`fdl data list` and `fdl data prepare`."""

import dataclasses
from typing import Annotated, Any

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import Command, OptionalPath, out


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
        name: Which data set.
        source: Folder with its four original files; downloaded if not given.
        data_dir: Where to write; TensorFlow Datasets' own folder if not given.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    source: OptionalPath = None
    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Prepare it."""
        path = fdl.data.prepare(self.name, source=self.source, data_dir=self.data_dir)
        out.print(f"{self.name} is ready in {path}", soft_wrap=True)


def commands() -> Any:
    """Return `fdl data list` and `fdl data prepare`, as a union of subcommands."""
    return (
        Annotated[DataList, tyro.conf.subcommand("list")]
        | Annotated[DataPrepare, tyro.conf.subcommand("prepare")]
    )
