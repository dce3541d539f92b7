"""Write the README's tables from result files.

    python -m bench.tables

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in README.md.
"""

import json
import re
from pathlib import Path
from typing import Any

from fdl.tasks import TASKS

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
RESULTS = HERE / "results"

TITLES = {
    "cnn": "seed CNN, constant rate",
    "cnn-keras": "the same in Keras (TensorFlow)",
    "cnn-one-cycle": "seed CNN, one-cycle rate",
    "mlp": "MLP, one hidden layer",
    "cnn-5k": "seed CNN, 5,000-digit sample",
    "cnn-fashion": "seed CNN, Fashion-MNIST",
}


def accuracy() -> str:
    """Return the table of test accuracies."""
    rows = [
        "| what | test accuracy, mean ± sd | lowest - highest | seeds | command |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recipe, title in TITLES.items():
        file = RESULTS / "accuracy" / f"{recipe}.json"
        if not file.exists():
            continue
        found: dict[str, Any] = json.loads(file.read_text())
        percent = {name: 100 * value for name, value in found["accuracy"].items()}
        rows.append(
            f"| {title} | {percent['mean']:.2f} ± {percent['sd']:.2f} % "
            f"| {percent['min']:.2f} - {percent['max']:.2f} % "
            f"| {len(found['runs'])} | `{found['command']}` |"
        )
    return "\n".join(rows)


def costs() -> str:
    """Return the table of what fdl's machinery costs."""
    found = json.loads((RESULTS / "costs.json").read_text())
    rows = ["| what | median | quartiles |", "| --- | --- | --- |"]
    for key, what, unit in (
        ("cnn", "CNN step inside `fit` / the same step called from Python", ""),
        ("mlp", "MLP step inside `fit` / the same step called from Python", ""),
        ("import", "`import fdl` on top of `import jax`", " s"),
    ):
        low, median, high = found[key]["extra" if unit else "ratio"]
        rows.append(f"| {what} | {median:.2f}{unit} | {low:.2f} - {high:.2f}{unit} |")
    return "\n".join(rows)


def models() -> str:
    """Return the table of architectures and of how far each is the same in Keras."""
    found = json.loads((RESULTS / "parity" / "parity.json").read_text())
    rows = [
        "| task | paper | parameters | level | largest error, float32 | float64 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, about in found["models"].items():
        rungs = [rung for rung in found["rungs"] if rung["subject"] == name]
        failed = [rung["level"] for rung in rungs if not rung["passed"]]
        reached = min(failed, default=5) - 1
        errors = [
            max(r["error"] for r in rungs if r["precision"] == precision)
            for precision in ("float32", "float64")
        ]
        rows.append(
            f"| `{name}` | {TASKS[name].paper} | {about['parameters']:,} "
            f"| {reached} of 4 | {errors[0]:.0e} | {errors[1]:.0e} |"
        )
    return "\n".join(rows)


def curve() -> str:
    """Return the table of differences between loss curves."""
    found = json.loads((RESULTS / "loss_curve" / "loss_curve.json").read_text())
    rows = [
        "| compared with Keras | largest relative difference of the loss at any step |",
        "| --- | --- |",
    ]
    for comparison, sides in found["largest"].items():
        rows += [
            f"| {comparison}: {side} | {largest:.0e} |"
            for side, largest in sides.items()
        ]
    return "\n".join(rows)


TABLES = {"accuracy": accuracy, "costs": costs, "models": models, "curve": curve}


def filled(text: str) -> str:
    """Return a text with its tables made anew."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        replacement = f"{start}\n{table()}\n{end}"
        text, count = pattern.subn(lambda _, r=replacement: r, text)
        if count != 1:
            raise ValueError(f"{name} must stand in README.md once, not {count} times.")
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
