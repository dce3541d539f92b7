"""The table of operations, in Markdown, from the results in a folder."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from bench.measured import measured
from bench.ops.rows import ROWS
from bench.ops.sides import SIDES

Cell = dict[str, Any]

CLIFF, GOAL = 2 / 3, 1.0
"""Goals for the fastest rival's time over fdl's: at least `CLIFF` in every cell, and a
median of at least `GOAL`."""


def write(folder: Path) -> Path:
    """Write report.md.

    Raises:
        ValueError: If there are no results, or they are from different machines.
    """
    results = read(folder)
    first = next(iter(results.values()))
    cells = [(row, cell) for row, result in results.items() for cell in result["cells"]]
    kinds = sorted({_kind(cell) for _, cell in cells}, key=_order)
    lines = [
        "# Operations",
        "",
        f"{first['machine']['device']}, {first['machine']['memory_gib']} GiB. Written "
        "from the JSON files in this folder, which `python -m bench ops` measured. All "
        "sides were first checked to have the same outputs and gradients. They take "
        "turns; each ratio is the fastest other side's time over fdl's in the same "
        "turn, shown as median (10th - 90th percentile). Memory is the temporary "
        "memory of a program; memory and compilation are shown for fdl / XLA's own "
        "implementation.",
        "",
        *summary(cells),
        "",
    ]
    for kind in kinds:
        these = [(row, cell) for row, cell in cells if _kind(cell) == kind]
        lines += [f"## {kind}", "", *_table(these), ""]
    failed = [
        f"- {row} {cell['batch']} {_kind(cell)}: {SIDES[side].title}: {one['failed']}"
        for row, cell in cells
        for side, one in cell["sides"].items()
        if "failed" in one
    ]
    if failed:
        lines += ["## Not measured", "", *failed, ""]
    report = folder / "report.md"
    report.write_text("\n".join(lines), encoding="utf-8")
    return report


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the results in a folder: see `bench.measured`."""
    return measured(folder, ROWS, "ops")


def best_rival(cell: Cell, clock: str = "wall") -> str | None:
    """Return the side with the smallest median time, except fdl."""
    sides = cell["sides"]
    rivals = [side for side in sides if side != "fdl" and sides[side].get(clock)]
    return min(rivals, key=lambda side: np.median(sides[side][clock]), default=None)


def ratio(cell: Cell, clock: str = "wall") -> tuple[float, float, float]:
    """Return 10th percentile, median and 90th percentile of the best rival over fdl.

    NaN if fdl or every rival failed.
    """
    rival, ours = best_rival(cell, clock), cell["sides"]["fdl"]
    if rival is None or "failed" in ours:
        return (float("nan"),) * 3
    # A rival that was slow in its trial has no turns.
    turns = zip(ours[clock], cell["sides"][rival][clock], strict=False)
    ratios = [b / a for a, b in turns]
    low, median, high = np.percentile(ratios, (10, 50, 90))
    return float(low), float(median), float(high)


def summary(cells: list[tuple[str, Cell]]) -> list[str]:
    """Return a table of the median and the worst ratio of each use and clock."""
    heads = ["use", "clock", "cells", "median", "worst"]
    heads += [f"below {CLIFF:.2f}", f"below {GOAL:.0f}"]
    lines = [f"| {' | '.join(heads)} |", "| --- | --- " + "| --: " * 5 + "|"]
    kinds = sorted({_kind(cell) for _, cell in cells}, key=_order)
    for kind, clock in itertools.product(kinds, ("wall", "cpu")):
        ratios = {
            f"{row} {cell['batch']}": ratio(cell, clock)[1]
            for row, cell in cells
            if _kind(cell) == kind
        }
        known = {name: r for name, r in ratios.items() if not np.isnan(r)}
        if not known:
            continue
        values = np.array(list(known.values()))
        worst = min(known, key=known.__getitem__)
        words = [
            kind,
            {"wall": "wall", "cpu": "processor"}[clock],
            str(len(values)),
            f"{np.median(values):.2f}",
            f"{known[worst]:.2f}, {worst}",
            str(int(np.sum(values < CLIFF))),
            str(int(np.sum(values < GOAL))),
        ]
        lines.append(f"| {' | '.join(words)} |")
    return lines


def _kind(cell: Cell) -> str:
    precision = cell.get("precision")
    return cell["use"] + (f", {precision}" if precision else "")


def _order(kind: str) -> tuple[str, int]:
    use, _, precision = kind.partition(", ")
    return precision, ("forward", "training", "loop").index(use)


def _table(cells: list[tuple[str, Cell]]) -> list[str]:
    names = [n for n in SIDES if any(n in cell["sides"] for _, cell in cells)]
    heads = ["row", "batch", *(f"{SIDES[name].title}, ms" for name in names)]
    heads += ["best / fdl", "in processor time", "memory, MiB", "compilation, s"]
    lines = [f"| {' | '.join(heads)} |", "| --- " + "| --: " * (len(heads) - 1) + "|"]
    for row, cell in cells:
        sides, best = cell["sides"], best_rival(cell)
        low, median, high = ratio(cell)
        mark = "**" if median < CLIFF else ""
        words = [
            row,
            str(cell["batch"]),
            *(_time(sides.get(name), name == best) for name in names),
            f"{mark}{median:.2f}{mark} ({low:.2f} - {high:.2f})",
            f"{ratio(cell, 'cpu')[1]:.2f}",
            _pair(sides, "temporary", 2**20),
            _pair(sides, "compile", 1),
        ]
        lines.append(f"| {' | '.join(words)} |")
    return lines


def _time(one: dict[str, Any] | None, best: bool) -> str:
    if one is None or "failed" in one:
        return "-"
    mark = "_" if best else ""
    return f"{mark}{np.median(one['wall']) * 1e3:.3g}{mark}"


def _pair(sides: dict[str, Any], fact: str, unit: float) -> str:
    return " / ".join(
        f"{sides[side][fact] / unit:.3g}" if fact in sides.get(side, {}) else "-"
        for side in ("fdl", "xla")
    )
