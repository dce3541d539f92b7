"""What a sweep's folder shows: tables, pictures, and a page with both."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from fdl.cli.command import brief, shown
from fdl.cli.environment import device
from fdl.metrics import Summary
from fdl.tasks.space import settings
from fdl.tasks.sweep import Outcome, Sweep


def _cells(sweep: Sweep, outcome: Outcome) -> dict[str, str]:
    """Return a configuration's line of the tables."""
    metric, summary = sweep.task.metric, outcome.summary
    cells = {name.replace("_", " "): brief(x) for name, x in outcome.settings.items()}
    cells |= {"epochs": str(outcome.epochs), "seeds": str(len(outcome.values))}
    if outcome.diverged:
        cells["seeds"] += f" (and {outcome.diverged} diverged)"
    words = dict.fromkeys(Summary._fields, "")
    if summary is not None:
        words = {
            name: "" if math.isnan(value) else shown(metric, float(value))
            for name, value in summary._asdict().items()
        }
    return cells | {
        metric: words["mean"],
        "sd": words["sd"],
        "95 % from": words["low"],
        "to": words["high"],
        "least": words["smallest"],
        "most": words["largest"],
    }


def table(sweep: Sweep, outcomes: list[Outcome]) -> Table:
    """Return a table of configurations."""
    rows = [_cells(sweep, outcome) for outcome in outcomes]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    return table


def draw(sweep: Sweep, outcomes: list[Outcome], path: Path, title: str) -> None:
    """Write the pictures and the page."""
    from fdl import report  # matplotlib takes half a second, wanted only here

    metric = sweep.task.metric
    good = [outcome for outcome in outcomes if outcome.values]
    lines = [_line(sweep, outcome) for outcome in good]
    pictures: dict[str, Path] = {}
    if lines:
        pictures["Learning curves"] = path / "learning.png"
        report.draw_learning(pictures["Learning curves"], lines, metric)
    if len(lines) > 1:
        pictures["Each setting"] = path / "settings.png"
        report.draw_settings(pictures["Each setting"], lines, metric)
        pictures["All settings together"] = path / "parallel.png"
        report.draw_parallel(
            pictures["All settings together"],
            lines,
            metric,
            smallest_is_best=sweep.task.mode == "min",
        )
    if lines and len(good[0].values) > 1:
        name = "Seeds of the best configuration" if len(lines) > 1 else "Seeds"
        pictures[name] = path / "distribution.png"
        values = np.array(good[0].values)
        report.draw_distribution(pictures[name], {title: values}, metric)
    config = sweep.configs[0]
    facts = {
        name.replace("_", " "): str(value)
        for name, value in settings(config).items()
        if name not in sweep.varied
    }
    facts = {"task": config.task, "data set": config.dataset} | facts
    facts |= {"members": str(len(sweep.configs)), "device": device()}
    report.write_page(
        path / "report.html",
        title,
        facts,
        {"Configurations": [_cells(sweep, outcome) for outcome in outcomes]},
        pictures,
    )


def _line(sweep: Sweep, outcome: Outcome) -> Any:
    from fdl import report

    curves = np.full((len(outcome.seeds), outcome.epochs), np.nan)
    for row in sweep.table():
        if row["configuration"] == outcome.number and row["seed"] in outcome.seeds:
            place = outcome.seeds.index(row["seed"])
            curves[place, row["epoch"] - 1] = row.get(sweep.measure, np.nan)
    label = ", ".join(
        f"{name.replace('_', ' ')} {brief(x)}" for name, x in outcome.settings.items()
    )
    return report.Line(label or sweep.configs[0].task, outcome.settings, curves)
