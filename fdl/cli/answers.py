"""Predictions of a run, for people and for programs."""

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Column, Table

from fdl.files import json_text, write_whole


class Answers(NamedTuple):
    """Predictions of a run for some inputs.

    Attributes:
        of: Name of each input: its file, with an index if the file has several.
        output: Probability of each class, `(inputs, classes)`, or predicted numbers,
            `(inputs, 1)`.
        names: Names of the classes, or of the number.
        classes: Whether outputs are probabilities of classes.
        notes: Further values for each input, by name.
    """

    of: list[str]
    output: Any
    names: tuple[str, ...]
    classes: bool
    notes: dict[str, list[Any]]

    def table(self) -> Table:
        """Return a table with each input's two likeliest classes, or its number."""
        if not self.classes:
            table = Table(Column("file", overflow="fold"), *self.names)
            for name, (number,) in zip(self.of, self.output, strict=True):
                table.add_row(name, f"{number:.6g}")
            return table
        file = Column("file", overflow="fold")
        table = Table(file, "class", "probability", "second", "probability")
        for name, probabilities in zip(self.of, self.output, strict=True):
            cells = [name]
            for best in probabilities.argsort()[:-3:-1]:
                cells += [self.names[best], f"{probabilities[best]:.2%}"]
            table.add_row(*cells)
        return table

    def lines(self) -> list[str]:
        """Return a JSON object for each input."""
        found = []
        for row, (name, output) in enumerate(zip(self.of, self.output, strict=True)):
            line: dict[str, Any] = {"file": name}
            if self.classes:
                best = int(output.argmax())
                line |= {
                    "class": best,
                    "name": self.names[best],
                    "probabilities": [round(float(p), 6) for p in output],
                }
            else:
                line |= {"name": self.names[0], "number": float(output[0])}
            line |= {what: values[row] for what, values in self.notes.items()}
            found.append(json_text(line))
        return found

    def write(self, path: Path) -> None:
        """Write a CSV file with a row for each input."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        head = ["class", *(f"p({name})" for name in self.names)]
        writer.writerow(["file", *(head if self.classes else self.names), *self.notes])
        for row, (name, output) in enumerate(zip(self.of, self.output, strict=True)):
            cells: list[Any] = [f"{float(number):.6g}" for number in output]
            if self.classes:
                cells.insert(0, self.names[int(output.argmax())])
            notes = [values[row] for values in self.notes.values()]
            writer.writerow([name, *cells, *notes])
        write_whole(path, buffer.getvalue().encode())
