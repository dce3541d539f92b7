"""The report: Markdown and charts of the results in a folder."""

import json
import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from bench.measured import measured
from bench.speed.cases import CASES
from bench.speed.race import table
from bench.speed.rows import ROWS

Result = dict[str, Any]


def write(folder: Path) -> Path:
    """Write report.md and its chart.

    Raises:
        ValueError: If there are no results, or they are from different machines.
    """
    results = read(folder)
    training = {
        name: {row: _ratio(result, row, _training(result)) for row in _measured(result)}
        for name, result in results.items()
    }
    _draw(training, folder / "training.png")
    first = next(iter(results.values()))
    lines = [
        "# Training speed by framework",
        "",
        f"{first['machine']['device']}, {first['machine']['memory_gib']} GiB. Written "
        "from the JSON files in this folder, which `python -m bench run` measured (see "
        "bench/speed). Every row was first checked to be the same model: outputs, "
        "loss, gradients and the first step of Adam. Rows take turns; each ratio "
        "compares runs of the same turn, and is shown as median (10th - 90th "
        "percentile).",
        "",
        "![Training steps, relative to fdl](training.png)",
        "",
        "## Goals",
        "",
        *goals(results),
        "",
    ]
    beside = beside_flax(results)
    if beside:
        lines += [
            "## Compared with plain Flax",
            "",
            f"Ratios of Linen in a jitted step over fdl. The goal is at least {SLOWER} "
            f"in time and in peak memory, or, if Linen takes {FASTER} times as long, "
            f"{LARGER} in memory: the memory of the process while it prepares and runs "
            "a cell.",
            "",
            *beside,
            "",
        ]
    lines += [
        "## Compilation",
        "",
        "Seconds to initialize fdl's parameters, and the extra time of the first block "
        f"of training steps. The goal is at most {LONG} s each.",
        "",
        *compilation(results),
        "",
    ]
    race = _race(folder, first["machine"])
    if race is not None:
        lines += [
            "## Time to accuracy",
            "",
            "The CNN on all of MNIST, from the start of the process: median (lowest - "
            "highest). All rows start from the same parameters and see the same "
            "batches.",
            "",
            *table(race),
            "",
        ]
    for name, result in results.items():
        lines += [f"## {CASES[name].title}", "", *_setup(result), ""]
        for cell in result["rows"]["fdl"]["cells"]:
            lines += [f"### {cell}", "", *_table(result, cell), ""]
        failed = _failed(result)
        if failed:
            lines += ["Not measured:", ""]
            lines += [f"- {ROWS[row].title}: {why}" for row, why in failed.items()]
            lines += [""]
    report = folder / "report.md"
    report.write_text("\n".join(lines), encoding="utf-8")
    return report


def read(folder: Path) -> dict[str, Result]:
    """Return the results in a folder: see `bench.measured`."""
    return measured(folder, CASES, "run")


def _race(folder: Path, machine: dict[str, Any]) -> dict[str, Any] | None:
    file = folder / "race.json"
    if not file.exists():
        return None
    found = json.loads(file.read_text())
    if found["machine"] != machine:
        raise ValueError(f"{file} is from another machine: {found['machine']}.")
    return found


def best_rival(result: Result, *, without: str = "") -> str | None:
    """Return the tuned row that trains fastest, except fdl and `without`."""
    cell = _training(result)
    rivals = [r for r in _measured(result) if ROWS[r].tuned and r != without]
    median = lambda row: np.median(result["rows"][row]["cells"][cell]["seconds"])
    return min(rivals, key=median, default=None)


def rivals_over_fdl(results: dict[str, Result]) -> list[float]:
    """Return the fastest rival's step over fdl's in each case, as in `goals`."""
    return [
        _ratio(result, rival, _training(result))[1]
        for result in results.values()
        if (rival := best_rival(result)) is not None
    ]


def goals(results: dict[str, Result]) -> list[str]:
    """Return the table of goals."""
    lines = [
        "| case | fastest tuned rival | its step | fdl's step | rival / fdl | goal "
        "| met | fastest but Flax / fdl |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in results.items():
        rival = best_rival(result)
        if rival is None:
            continue
        cell, case = _training(result), CASES[name]
        low, median, high = _ratio(result, rival, cell)
        said = "no"
        if median >= case.reach:
            said = "yes, and the stretch goal" if median >= case.dream else "yes"
        theirs, ours = (
            np.median(result["rows"][row]["cells"][cell]["seconds"]) * 1e3
            for row in (rival, "fdl")
        )
        other = best_rival(result, without="flax")
        others = ""
        if other is not None:
            lowest, middle, highest = _ratio(result, other, cell)
            others = f"{middle:.2f} ({lowest:.2f} - {highest:.2f}), {ROWS[other].title}"
        lines.append(
            f"| {case.title}, batch {case.batch_size} | {ROWS[rival].title} | "
            f"{theirs:.3g} ms | {ours:.3g} ms | {median:.2f} ({low:.2f} - {high:.2f}) "
            f"| {case.reach} | {said} | {others} |"
        )
    return lines


SLOWER, FASTER, LARGER = 0.95, 1.5, 0.8
"""Limits of the ratios of plain Flax over fdl: `SLOWER` in time and memory, or `LARGER`
in memory if fdl is faster by `FASTER`."""


def broken(time: float, memory: float) -> str:
    """Return the limits that ratios of time and memory break."""
    limit = LARGER if time >= FASTER else SLOWER
    slow, large = "slower" * (time < SLOWER), "larger" * (memory < limit)
    return " and ".join(filter(None, (slow, large)))


def beside_flax(results: dict[str, Result]) -> list[str]:
    """Return the table of plain Flax over fdl in each cell, or nothing without Flax."""
    lines = []
    for name, result in results.items():
        cells = {row: result["rows"][row].get("cells", {}) for row in _measured(result)}
        for cell, ours in cells["fdl"].items():
            theirs = cells.get("flax", {}).get(cell)
            if theirs is None:
                continue
            low, median, high = _ratio(result, "flax", cell)
            # Older results for predictions on GPUs have no memory.
            memory = theirs.get("memory", np.nan) / ours.get("memory", np.nan)
            lines.append(
                f"| {CASES[name].title} | {cell} | {median:.2f} ({low:.2f} - "
                f"{high:.2f}) | {memory:.2f} | {broken(median, memory)} |"
            )
    if not lines:
        return []
    heads = "| case | cell | time | peak memory | missed |"
    return [heads, "| --- | --- | --- | --- | --- |", *lines]


LONG = 30.0
"""Limit on the seconds of a compilation."""


def compilation(results: dict[str, Result]) -> list[str]:
    """Return the table of compilation times."""
    lines = [
        "| case | parameters | step | step in plain Flax | missed |",
        "| --- | --: | --: | --: | --- |",
    ]
    for name, result in results.items():
        rows, training = result["rows"], _training(result)
        found = [rows["fdl"].get("init", np.nan)]
        for row in ("fdl", "flax"):
            cell = rows.get(row, {}).get("cells", {}).get(training)
            if cell is None:
                found.append(np.nan)
                continue
            steps = cell.get("times", np.nan)
            found.append(cell["first"] - steps * float(np.median(cell["seconds"])))
        words = ["" if np.isnan(x) else f"{x:.1f} s" for x in found]
        said = "too long" if any(x > LONG for x in found[:2]) else ""
        lines.append(f"| {CASES[name].title} | {' | '.join(words)} | {said} |")
    return lines


def _training(result: Result) -> str:
    return f"train {result['batch_size']}"


def _measured(result: Result) -> list[str]:
    return [row for row, found in result["rows"].items() if "failed" not in found]


def _failed(result: Result) -> dict[str, str]:
    rows = result["rows"].items()
    return {row: found["failed"] for row, found in rows if "failed" in found}


def _ratio(
    result: Result, row: str, cell: str, of: str = "fdl"
) -> tuple[float, float, float]:
    """Return 10th percentile, median and 90th percentile of a ratio of times."""
    above, below = (
        np.array(result["rows"][each]["cells"][cell]["seconds"]) for each in (row, of)
    )
    low, median, high = np.percentile(above / below, (10, 50, 90))
    return float(low), float(median), float(high)


def _setup(result: Result) -> list[str]:
    versions = ", ".join(f"{name} {v}" for name, v in result["versions"].items())
    rate = np.median(result["matmul"]) / 1e9
    return [
        f"{result['flops'] / 1e9:.3g} GFLOP in the matrix products of a step; a large "
        f"product runs at {rate:.0f} GFLOP/s here. {versions}; commit "
        f"{(result['commit'] or 'unknown')[:10]}, {result['date']}."
    ]


def _table(result: Result, cell: str) -> list[str]:
    trains = cell.startswith("train")
    size = int(cell.split()[1])
    heads = ["row", "ms", "10th - 90th", "turns", "over fdl's", "examples/s", "first"]
    heads += ["peak memory"]
    heads += ["import", "share of product rate"] if trains else []
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    scale = size / result["batch_size"]
    for row in _measured(result):
        found = result["rows"][row]
        here = found["cells"].get(cell)
        if here is None:  # not in this precision
            continue
        seconds = np.array(here["seconds"])
        low, median, high = np.percentile(seconds, (10, 50, 90))
        under, ratio, over = _ratio(result, row, cell)
        setting = ", ".join(f"{key}={value}" for key, value in found["setting"].items())
        words = [
            f"{ROWS[row].title}{f' ({setting})' if setting else ''}",
            f"{median * 1e3:.3g}",
            f"{low * 1e3:.3g} - {high * 1e3:.3g}",
            str(len(seconds)),
            f"{ratio:.2f} ({under:.2f} - {over:.2f})",
            f"{size / median:,.0f}",
            f"{here['first']:.1f} s",
            f"{here.get('memory', np.nan):.0f} MiB",
        ]
        if trains:
            share = result["flops"] * scale / median / np.median(result["matmul"])
            words += [f"{found['import']:.1f} s", f"{share:.0%}"]
        lines.append(f"| {' | '.join(words)} |")
    return lines


_PANELS = 5  # side by side


def _draw(
    training: dict[str, dict[str, tuple[float, float, float]]], file: Path
) -> None:
    """Plot training steps relative to fdl, with a panel for each case."""
    rows = [row for row in ROWS if any(row in found for found in training.values())]
    columns = min(len(training), _PANELS)
    lines = math.ceil(len(training) / columns)
    size = (2.6 * columns + 1.6, 3.4 * lines + 0.2)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(training) :]:
        axis.set_axis_off()
    for number, (name, found) in enumerate(training.items()):
        axis = axes.flat[number]
        for place, row in enumerate(reversed(rows)):
            if row not in found:
                continue
            low, median, high = found[row]
            color = "tab:orange" if row == "fdl" else "tab:blue"
            alpha = 1.0 if row == "fdl" or ROWS[row].tuned else 0.4
            axis.barh(place, median, color=color, alpha=alpha)
            axis.plot([low, high], [place, place], color="black", linewidth=1)
            axis.text(max(median, high), place, f" {median:.2f}", va="center", size=7)
        axis.axvline(1, color="gray", linewidth=0.8, linestyle=":")
        axis.set_title(name)
        axis.set_xlim(0, 1.25 * max(high for _, _, high in found.values()))
        titles = [ROWS[row].title for row in reversed(rows)]
        axis.set_yticks(range(len(rows)), titles if number % columns == 0 else [])
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("time of a training step over fdl's (shorter is faster)", size=9)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
