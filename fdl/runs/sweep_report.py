"""The report of a sweep: a table, pictures, and a page with both."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from fdl.metrics import Summary
from fdl.runs.environment import device, versions
from fdl.runs.outcomes import Outcome, Sweep, column
from fdl.runs.settings import settings
from fdl.runs.words import brief, shown
from fdl.tasks import Config

_RANKING = (
    "on the validation part: fewer diverged seeds first, then the larger share of the "
    "epochs, then the better mean over the seeds that did not diverge; the test set is "
    "used once, for the best configuration"
)
_NO_RANKING = "none: nothing was held out; all seeds are evaluated on the test set"


def cells(sweep: Sweep, outcome: Outcome) -> dict[str, str]:
    """Return a configuration's row of the table, by column."""
    line = {name.replace("_", " "): brief(x) for name, x in outcome.settings.items()}
    line |= {"epochs": str(outcome.epochs), "seeds": str(len(outcome.seeds))}
    if outcome.diverged:
        line["seeds"] += f" (and {outcome.diverged} diverged)"
    if any(one.summary is not None for one in sweep.outcomes):
        validation = _words(sweep, outcome.summary)
        line[f"validation {sweep.metric}"] = validation["mean"]
    test = _words(sweep, outcome.test)
    return line | {
        f"test {sweep.metric}": test["mean"],
        "sd": test["sd"],
        "95 % from": test["low"],
        "to": test["high"],
        "min": test["smallest"],
        "max": test["largest"],
    }


def _words(sweep: Sweep, summary: Summary | None) -> dict[str, str]:
    """Format the numbers of a summary; empty strings if there is none."""
    if summary is None:
        return dict.fromkeys(Summary._fields, "")
    return {
        name: "" if math.isnan(value) else shown(sweep.metric, float(value))
        for name, value in summary._asdict().items()
    }


def draw(sweep: Sweep, config: Config, members: int, title: str, command: str) -> None:
    """Write the pictures and the page.

    Args:
        sweep: A finished sweep.
        config: The settings that its members have in common.
        members: Number of members.
        title: Title of the page.
        command: The command line that repeats the sweep.
    """
    varied = sweep.outcomes[0].settings
    facts = {
        name.replace("_", " "): str(value)
        for name, value in settings(config).items()
        if name not in varied
    }
    facts = {
        "command": command,
        "task": config.task,
        "data set": config.dataset,
    } | facts
    facts |= {
        "members": str(members),
        "device": device(),
        "versions": ", ".join(f"{k} {x}" for k, x in versions().items()),
        "ranking": _RANKING if config.validation is not None else _NO_RANKING,
    }
    from fdl import report  # importing matplotlib takes 0.5 s

    report.write_page(
        sweep.path / "report.html",
        title,
        facts,
        {"Configurations": [cells(sweep, outcome) for outcome in sweep.outcomes]},
        _pictures(sweep, title),
    )


def _pictures(sweep: Sweep, title: str) -> dict[str, Path]:
    """Draw the pictures that the sweep allows; return the files by title."""
    from fdl import report

    good = [outcome for outcome in sweep.outcomes if outcome.values]
    lines = [_line(sweep, outcome, title) for outcome in good]
    files: dict[str, Path] = {}
    if lines:
        files["Learning curves"] = report.picture_file(sweep.path / "learning")
        report.draw_learning(files["Learning curves"], lines, sweep.metric)
    if len(lines) > 1:
        files["Each setting"] = report.picture_file(sweep.path / "settings")
        report.draw_settings(files["Each setting"], lines, sweep.metric)
        files["All settings together"] = report.picture_file(sweep.path / "parallel")
        report.draw_parallel(
            files["All settings together"],
            lines,
            sweep.metric,
            smallest_is_best=sweep.mode == "min",
        )
    best = sweep.outcomes[0].test_values
    if len(best) > 1:
        several = len(sweep.outcomes) > 1
        name = "Seeds of the best configuration" if several else "Seeds"
        files[name] = report.picture_file(sweep.path / "distribution")
        values = {title: np.array(best)}
        report.draw_distribution(files[name], values, sweep.metric)
    return files


def _line(sweep: Sweep, outcome: Outcome, title: str) -> Any:
    from fdl import report

    curves = np.full((len(outcome.seeds), outcome.epochs), np.nan)
    places = {seed: place for place, seed in enumerate(outcome.seeds)}
    for row in sweep.rows:
        if row["configuration"] == outcome.number and row["seed"] in places:
            value = row.get(column(sweep.metric), np.nan)
            curves[places[row["seed"]], row["epoch"] - 1] = value
    label = ", ".join(
        f"{name.replace('_', ' ')} {brief(x)}" for name, x in outcome.settings.items()
    )
    return report.Line(label or title, outcome.settings, curves)
