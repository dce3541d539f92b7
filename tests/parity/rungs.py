"""Measurements on the ladder, their tolerances, and tables of them."""

from typing import NamedTuple

TOLERANCE = {  # by precision, then by level
    "float32": (0.0, 1e-5, 1e-4, 1e-4, 1e-3),
    "float64": (0.0, 1e-10, 1e-9, 1e-8, 1e-6),
}
DEEP = 1e-4  # for the outputs of a hundred layers or more in float32


class Rung(NamedTuple):
    """The measurement of a subject at a level.

    Attributes:
        error: The largest error of all arrays.
        where: The array with this error.
        draws: The number of draws of shapes and options that were measured.
        deep: Whether the subject has a hundred layers or more.
    """

    subject: str
    precision: str
    level: int
    error: float
    where: str
    draws: int = 1
    deep: bool = False

    @property
    def tolerance(self) -> float:
        """The largest error that passes."""
        if self.deep and (self.precision, self.level) == ("float32", 1):
            return DEEP
        return TOLERANCE[self.precision][self.level]

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return bool(self.error <= self.tolerance)

    def __str__(self) -> str:
        """Return the error, its array and its tolerance as text."""
        return (
            f"{self.subject}, {self.precision}, level {self.level}: {self.where}: "
            f"error {self.error:.1e}, tolerance {self.tolerance:.0e}"
        )


def summary(rungs: list[Rung]) -> list[list[str]]:
    """Return a table: a row for each subject and precision, a column for each level."""
    table = [["", "precision", *(f"level {level}" for level in range(5))]]
    cells: dict[tuple[str, str], list[str]] = {}
    for rung in rungs:
        row = cells.setdefault((rung.subject, rung.precision), ["-"] * 5)
        row[rung.level] = f"{rung.error:.0e}" + ("" if rung.passed else " FAIL")
    return table + [[*names, *row] for names, row in cells.items()]


def markdown(rungs: list[Rung]) -> str:
    """Return the table as Markdown."""
    head, *rows = summary(rungs)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
