"""`tsv:FILE`: pairs of texts, one per line, in tab-separated columns."""

import dataclasses
from pathlib import Path

from fdl.arrays import DataError
from fdl.data.dataset import Dataset
from fdl.data.jsonl import read_text
from fdl.data.own import Part
from fdl.data.pairing import assemble_pairs
from fdl.data.source import Source, Status
from fdl.data.splits import SHARE
from fdl.untrusted import shortened


@dataclasses.dataclass(frozen=True)
class PairTable(Source):
    """A file with a pair of texts in each line; other columns are ignored.

    Cells are used verbatim, including quotation marks.

    Attributes:
        name: The line that names the source.
        path: The file, in UTF-8.
        source: Column of the sources: its number, from 1, or its name, if the first
            line holds names.
        target: Column of the targets, likewise.
        units: As for `fdl.data.from_pairs`.
    """

    path: Path
    source: str = "1"
    target: str = "2"
    units: tuple[str, ...] | None = None

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read the pairs."""
        columns, texts = self._read("source", "target")
        return assemble_pairs(
            {"train": Part(*texts)},
            name=self.name,
            title=self.path.stem,
            source=f"file {self.path}",
            columns=columns,
            units=self.units,
            like=self.like,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Count the pairs."""
        try:
            count = len(self._read("source", "target")[1][0])
        except DataError as error:
            return Status(self.name, self.path.stem, 0, 0, False, str(error))
        test = round(count * SHARE)
        where = str(self.path)
        return Status(self.name, self.path.stem, count - test, test, True, where)

    def sources(self) -> list[str]:
        """Return the sources; the file may lack the targets.

        Raises:
            DataError: If the file cannot be read, or a source is missing or empty.
        """
        _, (texts,) = self._read("source")
        return texts

    def _read(self, *sides: str) -> tuple[tuple[str, ...], list[list[str]]]:
        """Return the names of some columns, and the cells of each."""
        wanted = {"source": self.source, "target": self.target}
        lines = [
            (number, line.split("\t"))
            for number, line in enumerate(read_text(self.path).split("\n"), start=1)
            if line.strip()
        ]
        names: list[str] = []
        if not all(name.isdecimal() for name in wanted.values()) and lines:
            names = [name.strip() for name in lines.pop(0)[1]]
        if not lines:
            raise DataError(f"{self.path} holds no pairs of texts.")
        places = [self._place(side, wanted[side], names) for side in sides]
        found: list[list[str]] = [[] for _ in sides]
        for number, cells in lines:
            for side, place, texts in zip(sides, places, found, strict=True):
                if place >= len(cells) or not cells[place].strip():
                    what = "is empty" if place < len(cells) else "is missing"
                    raise DataError(
                        f"{self.path}: line {number}: the {side}, column "
                        f"{wanted[side]!r}, {what}."
                    )
                texts.append(cells[place])
        called = [names[place] for place in places] if names else sides
        return tuple(called), found

    def _place(self, side: str, name: str, names: list[str]) -> int:
        """Return the index of a column in a line."""
        if name in names:
            return names.index(name)
        if name.isdecimal() and int(name) and (not names or int(name) <= len(names)):
            return int(name) - 1
        known = f"; it has {shortened(', '.join(names))}" if names else ""
        raise DataError(
            f"{self.path}: line 1 has no column {name!r}{known}: give a column this "
            f"name, or set {side} to the name of another, or to a number from 1."
        )
