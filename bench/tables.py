"""Write the tables of the README, the site and `fdl tasks` from result files.

    python -m bench.tables

Replaces the text between `<!-- NAME -->` and `<!-- /NAME -->` in README.md and docs/,
and the file fdl/tasks/measured.json.
"""

import functools
import json
import re
import statistics
from pathlib import Path
from typing import Any

from bench import imports, machines, scaling, streams
from bench.ops import report as operations_report
from bench.recipes import RECIPES
from bench.speed import report
from bench.speed.cases import CASES

HERE = Path(__file__).parent
ROOT = HERE.parent
MEASURED = ROOT / "fdl" / "tasks" / "measured.json"
RESULTS = HERE / "results"

# Name, unit, digits and scale of each metric.
MEASURES: dict[str, tuple[str, str, int, float]] = {
    "accuracy": ("test accuracy", " %", 2, 100.0),
    "baseline_accuracy": ("naive Bayes' accuracy", " %", 2, 100.0),
    "exact_match": ("test exact match", " %", 2, 100.0),
    "error_rate": ("test error rate", " %", 2, 100.0),
    "baseline_exact_match": ("exact match, nearest source", " %", 2, 100.0),
    "baseline_error_rate": ("error rate, nearest source", " %", 2, 100.0),
    "bleu": ("BLEU", "", 1, 1.0),
    "frechet_distance": ("Fréchet distance", "", 1, 1.0),
    "precision": ("precision", "", 2, 1.0),
    "recall": ("recall", "", 2, 1.0),
    "classes": ("number of digits", "", 1, 1.0),
    "memorization": (
        "distance to training images, over that of test images",
        "",
        2,
        1.0,
    ),
    "elbo": ("test evidence lower bound", " nats", 2, 1.0),
    "importance_bound": ("test bound of 500 samples", " nats", 2, 1.0),
    "squared_error": ("squared error per test image", "", 2, 1.0),
    "nats_per_frame": ("nats per test frame", "", 2, 1.0),
    "baseline_nats_per_frame": ("the same, independent keys", "", 2, 1.0),
    "bits_per_character": ("bits per test character", "", 3, 1.0),
}


def results() -> str:
    """Return the table of recipes and their results."""
    rows = [
        "| recipe | metric | mean ± sd | lowest - highest | seeds | command |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for recipe, about in RECIPES.items():
        found = recorded(recipe)
        if found is None:
            continue
        command = f"`{found['command']}`"
        for metric in about.metrics:
            summary = found["summary"][metric]
            low, high = (number(metric, summary[end]) for end in ("min", "max"))
            measure, unit, _, _ = MEASURES[metric]
            first = metric == about.metrics[0]
            rows.append(
                f"| {about.title if first else ''} | {measure} "
                f"| {spread(metric, summary)} | {low} - {high}{unit} "
                f"| {len(found['runs']) if first else ''} "
                f"| {command if first else ''} |"
            )
    return "\n".join(rows)


def measured() -> dict[str, list[dict[str, Any]]]:
    """Return the results of recipes by task, for `fdl tasks`."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for recipe, about in RECIPES.items():
        found = recorded(recipe)
        if found is None:
            continue
        run = next(iter(found["runs"].values()))
        if "task" not in run:  # a rival's
            continue
        metric = about.metrics[0]
        reached = spread(metric, found["summary"][metric])
        line = {
            "command": found["command"],
            "parameters": run["parameters"],
            "result": f"{MEASURES[metric][0]} {reached}",
            "seeds": len(found["runs"]),
        }
        tasks.setdefault(run["task"], []).append(line)
    return tasks


def recorded(recipe: str) -> dict[str, Any] | None:
    """Return the results of a recipe, or None if there are none yet."""
    file = RESULTS / "recipes" / f"{recipe}.json"
    return json.loads(file.read_text()) if file.exists() else None


def spread(metric: str, summary: dict[str, float]) -> str:
    """Format mean and standard deviation with the unit."""
    mean, sd = number(metric, summary["mean"]), number(metric, summary["sd"])
    return f"{mean} ± {sd}{MEASURES[metric][1]}"


def number(metric: str, value: float) -> str:
    """Format a measure in its unit."""
    _, _, digits, scale = MEASURES[metric]
    return f"{scale * value:.{digits}f}"


def kills() -> str:
    """Return the table of killed and resumed runs."""
    found = json.loads((RESULTS / "kills.json").read_text())["kinds"]
    signals = ("SIGINT", "SIGTERM", "SIGKILL")
    rows = [
        f"| killed | {' | '.join(signals)} | same as an uninterrupted run |",
        "| --- " * (len(signals) + 2) + "|",
    ]
    for kind, one in found.items():
        times = " | ".join(str(one["signals"].get(name, 0)) for name in signals)
        rows.append(f"| {kind} | {times} | {one['same']} of {one['moments']} |")
    return "\n".join(rows)


def costs() -> str:
    """Return the table of fdl's overhead."""
    found = json.loads((RESULTS / "costs.json").read_text())
    rows = ["| measurement | median | quartiles |", "| --- | --- | --- |"]
    for case in ("cnn", "mlp"):
        high, median, low = (1 / ratio for ratio in found[case]["ratio"])
        what = f"{case.upper()} step called from Python, over the same inside `fit`"
        rows.append(f"| {what} | {median:.2f} | {low:.2f} - {high:.2f} |")
    low, median, high = found["import"]["extra"]
    what = "`import fdl` and the modules of training, beyond `import jax`"
    rows.append(f"| {what} | {median:.2f} s | {low:.2f} - {high:.2f} s |")
    answers = found["answers"]["quartiles"] if "answers" in found else {}
    for command, (low, median, high) in answers.items():
        what = f"`{command}`, processor time"
        rows.append(f"| {what} | {median:.2f} s | {low:.2f} - {high:.2f} s |")
    return "\n".join(rows)


def models() -> str:
    """Return the table of models and their level of parity with Keras."""
    rows = [
        "| model | parameters | level | largest error, float32 | float64 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in _climbed().items():
        rungs, top = row["rungs"], max(rung["level"] for rung in row["rungs"])
        if top < 4:  # layers, and models of keras.applications
            continue
        failed = [rung["level"] for rung in rungs if not rung["passed"]]
        reached = min(failed, default=5) - 1
        errors = [
            max(r["error"] for r in rungs if r["precision"] == precision)
            for precision in ("float32", "float64")
        ]
        rows.append(
            f"| {name} | {row['parameters']:,} "
            f"| {reached} of 4 | {errors[0]:.0e} | {errors[1]:.0e} |"
        )
    return "\n".join(rows)


def applications() -> str:
    """Return the table of models compared with keras.applications."""
    levels = [("float32", 1), ("float64", 1), ("float64", 2)]
    head = ("model", "parameters", *(f"level {n}, {name}" for name, n in levels))
    rows = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name, row in _climbed().items():
        if "--large" not in row["command"]:
            continue
        if not name.startswith("models."):
            name = f"{name}, imported"
        found = {(rung["precision"], rung["level"]): rung for rung in row["rungs"]}
        errors = [f"{found[n]['error']:.0e}" if n in found else "-" for n in levels]
        count = row["parameters"]  # those of imported models are not counted
        size = "" if count is None else f"{count:,}"
        rows.append(f"| {name} | {size} | {' | '.join(errors)} |")
    return "\n".join(rows)


def _climbed() -> dict[str, dict[str, Any]]:
    return json.loads((RESULTS / "parity" / "parity.json").read_text())["rows"]


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


def speed() -> str:
    """Return the table of training steps, compared with other frameworks."""
    return "\n".join(report.goals(report.read(RESULTS / "speed")))


def speedrun() -> str:
    """Return the table of the speedrun: accuracy and seconds, by ingredient."""
    found = json.loads((RESULTS / "speedrun.json").read_text())
    cold, *warm = found["runs"]
    accuracies = [100 * run["accuracy"] for run in found["runs"]]
    seconds = {part: [run[part] for run in warm] for part in ("total", "train")}
    median = {part: statistics.median(values) for part, values in seconds.items()}
    spread = lambda values: (
        f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f} %"
    )
    rows = [
        "| recipe | test accuracy, mean ± sd | training | whole process |",
        "| --- | --- | --- | --- |",
        f"| `{found['command']}`, {len(found['runs'])} seeds | {spread(accuracies)} "
        f"| {median['train']:.1f} s | {median['total']:.1f} s; with an empty "
        f"cache, {cold['total']:.1f} s |",
    ]
    for name, ablation in found["ablations"].items():
        accuracies = [100 * x for x in ablation["accuracy"]]
        rows.append(
            f"| {name}, {len(accuracies)} seeds | {spread(accuracies)} | "
            f"{statistics.median(ablation['train']):.1f} s | |"
        )
    return "\n".join(rows)


def gpu() -> str:
    """Return the table of training steps on a GPU, by framework."""
    rows = [
        "| case | precision | fdl's step | Flax | Keras on JAX | PyTorch "
        "| torch.compile |",
        "| --- " * 7 + "|",
    ]
    others = ("flax", "keras-jax-tuned", "torch-tuned", "torch-compile")
    for name, result in report.read(RESULTS / "speed-gpu").items():
        title = f"{CASES[name].title}, batch {result['batch_size']}"
        for cell, ours in result["rows"]["fdl"]["cells"].items():
            if not cell.startswith("train"):
                continue
            ratios = []
            for row in others:
                theirs = result["rows"][row].get("cells", {}).get(cell)
                ratio = theirs and statistics.median(
                    a / b
                    for a, b in zip(theirs["seconds"], ours["seconds"], strict=True)
                )
                ratios.append(f"{ratio:.1f}" if ratio else "")
            step = f"{1e3 * statistics.median(ours['seconds']):.3f} ms"
            precision = cell.partition(" in ")[2] or "TF32"
            rows.append(f"| {title} | {precision} | {step} | {' | '.join(ratios)} |")
            title = ""
    return "\n".join(rows)


def precisions() -> str:
    """Return the table of the CNN in each precision of a GPU."""
    found = json.loads((RESULTS / "precisions.json").read_text())
    rows = [
        "| precision | training, five epochs | test accuracy, mean ± sd |",
        "| --- | --- | --- |",
    ]
    for precision, runs in found["runs"].items():
        seconds = statistics.median(run["seconds"]["train"] for run in runs)
        accuracies = [100 * run["accuracy"] for run in runs]
        rows.append(
            f"| {precision.replace('tf', 'TF')} | {seconds:.2f} s "
            f"| {statistics.fmean(accuracies):.2f} ± "
            f"{statistics.stdev(accuracies):.2f} %, {len(runs)} seeds |"
        )
    return "\n".join(rows)


def many(file: str = "many.json") -> str:
    """Return the table of many training runs, as ratios of times.

    Larger is better for fdl throughout: Keras' time over that of `fit`, and that of
    `fit` over that of `fit_many`.
    """
    found = json.loads((RESULTS / file).read_text())["cases"]
    ways = list(
        dict.fromkeys(w for c in found.values() for w in c["members_per_second"])
    )
    titles = {
        "single": "`fit`, in a loop: runs per second",
        "keras-jax": "Keras on JAX, in a loop: its time over `fit`'s",
        "keras-tf": "Keras on TensorFlow, in a loop: its time over `fit`'s",
    }
    heads = {"mlp": "MLP 784-32-10", "lstm": "LSTM of 128", "cnn": "CNN"}
    rows = [
        f"| | {' | '.join(heads[case] for case in found)} |",
        "| --- " * (1 + len(found)) + "|",
    ]
    for way in ways:
        cells = []
        for case in found.values():
            rates = case["members_per_second"]
            if way not in rates:
                cells.append("")
            elif way == "single":
                cells.append(f"{statistics.median(rates[way]):.2g}")
            else:
                pairs = zip(rates[way], rates["single"], strict=True)
                faster = [a / b for a, b in pairs]
                if way.startswith("keras"):
                    faster = [1 / ratio for ratio in faster]
                cells.append(f"{statistics.median(faster):.2f}")
        members = r"`fit`'s time over `fit_many`'s, members: \1"
        title = titles.get(way, re.sub(r"many (\d+)", members, way))
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def seeds() -> str:
    """Return the table of results over many seeds."""
    rows = [
        "| command | metric | mean | 95 % of the mean | sd | lowest - highest | on |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for file in sorted((RESULTS / "seeds").glob("*.json")):
        result = json.loads(file.read_text())
        metric, found = result["metric"], result["configurations"][0]["test"]
        name, unit, _, _ = MEASURES[metric]
        mean, sd, low, high, least, most = (
            number(metric, found[key])
            for key in ("mean", "sd", "low", "high", "smallest", "largest")
        )
        rows.append(
            f"| `{result['command']}` | {name} | {mean}{unit} | {low} - {high}{unit} "
            f"| {sd}{unit} | {least} - {most}{unit} "
            f"| {'CPU' if result['device'].startswith('cpu') else 'GPU'} |"
        )
    return "\n".join(rows)


def ensembles() -> str:
    """Return the table of ensembles by size."""
    found = json.loads((RESULTS / "ensembles.json").read_text())
    rows = [
        "| CNNs | test accuracy | negative log-likelihood | calibration error |",
        "| --- | --- | --- | --- |",
    ]
    for size in found["sizes"]:
        rows.append(
            f"| {size['members']} | {100 * size['accuracy']:.2f} % "
            f"| {size['negative_log_likelihood']:.4f} "
            f"| {100 * size['calibration_error']:.2f} % |"
        )
    return "\n".join(rows)


def imported() -> str:
    """Return the table of imported models."""
    return imports.table(json.loads(imports.RESULT.read_text())["models"])


def operations() -> str:
    """Return the summary of single operations."""
    found = operations_report.read(RESULTS / "ops")
    cells = [(row, cell) for row, result in found.items() for cell in result["cells"]]
    return "\n".join(operations_report.summary(cells))


def headlines() -> str:
    """Return the table of the README: three results, with links to more."""
    accuracy = json.loads((RESULTS / "seeds" / "cnn.json").read_text())
    found = accuracy["configurations"][0]["test"]
    mean, low, high = (f"{100 * found[key]:.2f}" for key in ("mean", "low", "high"))
    rows = [
        "| measurement | result | interval |",
        "| --- | --- | --- |",
        f"| [`fdl train cnn`](docs/results/seeds.md), MNIST test accuracy, "
        f"{accuracy['members']} seeds | {mean} % "
        f"| {low} - {high} %, 95 % of the mean |",
    ]
    _, *warm = json.loads((RESULTS / "speedrun.json").read_text())["runs"]
    low, *_, high = statistics.quantiles([run["total"] for run in warm], n=10)
    median = statistics.median(run["total"] for run in warm)
    rows.append(
        "| [99 % of MNIST](docs/results/speed.md), from the start of the process, two "
        f"CPU cores | {median:.1f} s | {low:.1f} - {high:.1f} s, middle 80 % of "
        f"{len(warm)} runs |"
    )
    ratios = report.rivals_over_fdl(report.read(RESULTS / "speed"))
    won = sum(ratio > 1 for ratio in ratios)
    rows.append(
        "| [A training step](docs/results/speed.md), the fastest other's time over "
        f"fdl's, two CPU cores | {statistics.median(ratios):.2f}; faster in {won} of "
        f"{len(ratios)} cases | {min(ratios):.2f} - {max(ratios):.2f}, all cases |"
    )
    return "\n".join(rows)


def streamed() -> str:
    """Return the table of data larger than memory."""
    return streams.table(json.loads(streams.RESULT.read_text()))


def devices() -> str:
    """Return the table of differences between several devices and one."""
    found = json.loads(scaling.RESULT.read_text())
    ways = list(scaling.WAYS)[1:]
    columns = [(way, each) for each in scaling.BOUNDS for way in ways]
    heads = [f"{way}, {each}" for way, each in columns]
    rows = [
        f"| task | with | {' | '.join(heads)} |",
        "| --- " * (2 + len(heads)) + "|",
    ]
    for name, row in found["tasks"].items():
        cells = [row.get(way, {}).get(each) for way, each in columns]
        told = [f"{max(cell.values()):.0e}" if cell else "" for cell in cells]
        rows.append(f"| {name} | {scaling.CASES[name].words} | {' | '.join(told)} |")
    return "\n".join(rows)


TABLES = {
    "devices": devices,
    "machines": machines.table,
    "headlines": headlines,
    "imports": imported,
    "operations": operations,
    "results": results,
    "many": many,
    "seeds": seeds,
    "ensembles": ensembles,
    "speed": speed,
    "speedrun": speedrun,
    "gpu": gpu,
    "precisions": precisions,
    "many-gpu": functools.partial(many, "many-gpu.json"),
    "costs": costs,
    "kills": kills,
    "streams": streamed,
    "models": models,
    "applications": applications,
    "curve": curve,
}


ORIGINS = {
    "seeds": "seeds/cnn.json",
    "ensembles": "ensembles.json",
    "many": "many.json",
    "many-gpu": "many-gpu.json",
    "speed": "speed/*.json",
    "gpu": "speed-gpu/*.json",
    "precisions": "precisions.json",
    "speedrun": "speedrun.json",
    "operations": "ops/*.json",
    "imports": "imports.json",
    "costs": "costs.json",
    "kills": "kills.json",
    "devices": "scaling.json",
    "streams": "streams.json",
    "curve": "loss_curve/loss_curve.json",
}
"""The files that record the device, versions and commits of each table."""


def origin(name: str) -> str:
    """Return a line with the device, the versions and the commits of a table."""
    found = [
        json.loads(file.read_text())
        for file in RESULTS.glob(ORIGINS[name])
        if file.stem != "race"  # to an accuracy, which is in no table
    ]
    shown = ("jax", "flax", "keras", "tensorflow-cpu", "torch")
    (machine,) = {
        (
            one.get("device") or one["machine"]["device"],
            *(f"{n} {v}" for n, v in one["versions"].items() if n in shown),
        )
        for one in found
    }
    code = sorted({(one["date"], one["commit"][:10]) for one in found})
    device, *versions = machine
    commits = "; ".join(f"commit {commit}, {date}" for date, commit in code)
    return f"*On {device}; {', '.join(versions)}; {commits}.*"


_MARKED = re.compile(r"<!-- ([\w-]+) -->.*?<!-- /\1 -->", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that may contain tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def named(text: str) -> list[str]:
    """Return the names of the tables in a text.

    Example:
        >>> named("<!-- seeds --> ... <!-- /seeds -->")
        ['seeds']
    """
    return _MARKED.findall(text)


def filled(text: str) -> str:
    """Return a text with its tables replaced."""

    def table(mark: re.Match[str]) -> str:
        name = mark[1]
        if name not in TABLES:
            raise ValueError(f"{name} is not a table; choose from {', '.join(TABLES)}.")
        below = f"\n\n{origin(name)}" if name in ORIGINS else ""
        return f"<!-- {name} -->\n{TABLES[name]()}{below}\n<!-- /{name} -->"

    return _MARKED.sub(table, text)


if __name__ == "__main__":
    for page in pages():
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
    MEASURED.write_text(json.dumps(measured(), indent=1) + "\n")
