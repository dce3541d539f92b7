"""`text:FILE` and `jsonl:FILE`: texts to learn a language from, by characters."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from fdl.arrays import DataError
from fdl.data.catalog import HoldOut
from fdl.data.dataset import Dataset
from fdl.data.source import Source, Status
from fdl.data.text import of_text


@dataclasses.dataclass(frozen=True)
class TextFile(Source):
    """A text in UTF-8, whose last tenth is the test part.

    Attributes:
        name: The line that names it.
        path: The file.
    """

    path: Path

    @property
    def hold_out(self) -> HoldOut:
        """The last windows: others would have their neighbors in the training set."""
        return "last"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read it."""
        return of_text(
            self._text(),
            name=self.name,
            title=self.path.stem,
            source=f"file {self.path}",
        )

    def status(self, data_dir: Path | None) -> Status:
        """Read it, which is the way to count its windows."""
        try:
            info = self.load(None, download=False).info
        except DataError as error:
            return Status(self.name, self.path.stem, 0, 0, False, str(error))
        counts = (info.train_count, info.test_count)
        return Status(self.name, info.title, *counts, True, str(self.path))

    def _text(self) -> str:
        return read_text(self.path)


@dataclasses.dataclass(frozen=True)
class JsonLines(TextFile):
    """A text in each line of a file, in a field of a JSON object.

    The texts follow each other in the order of the lines, with an empty line between
    them.

    Attributes:
        name: The line that names it.
        path: The file.
        target: The field that holds a text; None for `text`.
    """

    target: str | None = None

    def _text(self) -> str:
        field = self.target or "text"
        texts = []
        for number, line in enumerate(read_text(self.path).split("\n"), start=1):
            if line.strip():
                texts.append(_field(f"{self.path}, line {number}", line, field))
        return "\n\n".join(texts)


def read_text(path: Path) -> str:
    """Return the text in a file.

    Raises:
        DataError: If it cannot be read, or is not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} cannot be read as text in UTF-8: byte {error.start} is "
            f"{error.object[error.start]:#04x}. Convert it, for example with iconv"
        ) from error


def _field(where: str, line: str, field: str) -> str:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is no JSON ({error})") from error
    fields = list(found) if isinstance(found, dict) else []
    if field not in fields or not isinstance(found[field], str):
        has = f"its fields are {', '.join(fields)}" if fields else "it is no object"
        raise DataError(
            f"{where}: has no text in the field {field!r}; {has}. Name the field as "
            "target (--target)"
        )
    return found[field]
