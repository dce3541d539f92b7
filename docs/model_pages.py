"""A page for each task: its paper, architecture, proof, results and speed."""

import inspect
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fdl
from bench.speed import report
from fdl import data, tasks
from fdl.report import draw_architecture
from fdl.runs import configure
from fdl.tasks import Task, Trained

_RESULTS = Path(__file__).parents[1] / "bench" / "results"
_MOST = 40  # layers of a drawing that tells all of them apart
# Rows of `fdl parity` that are the models of a task under another name.
_PROVEN = {
    "lenet5": ("lenet5", "lenet5-modern"),
    "densenet": ("densenet-small",),
    "resnet": ("resnet", "resnet-preactivation", "se-resnet"),
    "vae": ("vae", "conv-vae"),
    "gan": tuple(
        f"{kind}-{part}"
        for kind in ("dcgan", "dense")
        for part in ("generator", "discriminator")
    ),
    "seq2seq": ("seq2seq", "seq2seq-every"),
}
# Cases of `python -m bench run` that train the default model of a task.
_TIMED = {
    "mlp": "mlp",
    "cnn": "cnn",
    "lstm": "lstm",
    "gru": "gru",
    "vae": "vae",
    "gan": "dcgan",
}
_PICTURES = {
    "gan": {"gan.png": "Digits that it made"},
    "vae": {
        "vae-reconstructions.png": "Digits, and below them their reconstructions",
        "vae-samples.png": "Digits that it made",
    },
    "resnet": {
        "resnet-features.png": "Feature maps of a digit, layer by layer",
        "resnet-activation.png": "Where it sees a digit",
    },
}


def names() -> list[str]:
    """Return the tasks that have a model of their own."""
    return [task.name for task in tasks.known() if task.name != "classify"]


def pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page, and draw its models."""
    measured = json.loads(Path(tasks.__file__).with_name("measured.json").read_text())
    proven = json.loads((_RESULTS / "parity" / "parity.json").read_text())["rows"]
    timed = report.read(_RESULTS / "speed")
    for name in names():
        task, trained = _untrained(name)
        _draw(task, trained, folder / f"{name}.svg")
        lines = [
            *_title(task),
            *_about(task, trained),
            *_parity([proven[x] for x in _PROVEN.get(name, (name,)) if x in proven]),
            *_results(measured.get(name, ())),
            *_pictures(name),
            *_speed(_TIMED.get(name), timed),
        ]
        yield f"{name}.md", "\n".join(lines)


def _title(task: Task) -> Iterator[str]:
    name = task.name
    yield from (f"# {_sentence(task.title)}", "")
    if task.paper:
        yield f"{_sentence(task.paper)}.\n"
    yield f"Train it with `fdl train {name}`"
    yield f"([options and defaults](../../reference/tasks.md#{name})).\n"
    yield f"![The layers of {name}, and which reads which]({name}.svg)\n"
    yield f"*`fdl summary {name} --svg {name}.svg`*\n"


def _about(task: Task, trained: Trained) -> Iterator[str]:
    """Yield the classes of the models, and the notes at the top of their files."""
    models = [type(model) for model, *_ in task.parts(trained).values()]
    public = [model for model in models if hasattr(fdl.models, model.__name__)]
    names = [f"{{name}}`fdl.models.{model.__name__}`" for model in public]
    yield f"In Python: {', '.join(names)}.\n"
    yield from ("## Sizes and differences from the paper", "")
    for name in dict.fromkeys(model.__module__ for model in models):
        first, _, rest = (inspect.getdoc(sys.modules[name]) or "").partition("\n\n")
        yield from (first, "", *_paragraphs(rest))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield a docstring as Markdown, in which columns of numbers are code."""
    for part in text.split("\n\n"):
        columns = re.search(r"\S {2,}\S", part)
        yield f"```text\n{part}\n```\n" if columns else f"{part}\n"


def _parity(rows: list[Any]) -> Iterator[str]:
    if rows:
        yield from ("## The same function as in Keras", "")
        yield "The largest relative difference from the Keras model of each"
        yield "[level](../../understanding/parity.md), in double precision:\n"
        yield from _table(map(_level, rows))


def _results(measured: Any) -> Iterator[str]:
    if measured:
        yield from ("## What it reaches", "")
        yield "Mean and standard deviation over seeds"
        yield "([all results](../../results/accuracy.md)).\n"
        yield from _table(
            {
                "command": f"`{one['command']}`",
                "result": one["result"],
                "seeds": str(one["seeds"]),
                "parameters": f"{one['parameters']:,}",
            }
            for one in measured
        )


def _pictures(name: str) -> Iterator[str]:
    if name in _PICTURES:
        yield from ("## Pictures", "")
        for file, about in _PICTURES[name].items():
            yield f"![{about}](../../../bench/results/pictures/{file})\n"
            yield f"*{about}.*\n"


def _speed(case: str | None, timed: dict[str, Any]) -> Iterator[str]:
    """Yield the row of a case in the comparison of training steps."""
    if case in timed:
        result = timed[case]
        yield from ("## How fast it trains", "", *report.goals({case: result}), "")
        device, day = result["machine"]["device"], result["date"]
        yield f"*`python -m bench run {case}`, {day}, {device}.*"
        yield "How this is measured: [speed](../../results/speed.md).\n"


def _level(row: Any) -> dict[str, str]:
    found = {"model": f"`{row['command']}`", "parameters": f"{row['parameters']:,}"}
    for rung in row["rungs"]:
        if rung["precision"] == "float64":
            found[f"level {rung['level']}"] = (
                f"{rung['error']:.0e}" if rung["error"] else "0"
            )
    return found


def _table(rows: Iterator[dict[str, str]]) -> Iterator[str]:
    told = list(rows)
    head = list(dict.fromkeys(key for row in told for key in row))
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in told:
        yield f"| {' | '.join(row.get(key, '') for key in head)} |"
    yield ""


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _untrained(name: str) -> tuple[Task, Trained]:
    task = tasks.find(name)
    with tempfile.TemporaryDirectory() as folder:
        line, info = _data(task, Path(folder))
        return task, tasks.outline(task, configure(name, dataset=line), info)


def _draw(task: Task, trained: Trained, file: Path) -> None:
    found = tasks.summaries(task, trained)
    if max(len(one.layers) for one in found.values()) > _MOST:
        found = tasks.summaries(task, trained, levels=1)
    draw_architecture(file, found)


def _data(task: Task, folder: Path) -> tuple[str, Any]:
    """Return the name of data that a task is for, and what is known of ones like it."""
    classes, kind = np.arange(200) % 10, task.takes[0]
    if kind == "number":
        rows = [f"{n},{n % 7},{n % 5},{n / 3}" for n in range(200)]
        (folder / "rows.csv").write_text("\n".join(["a,b,c,y", *rows]))
        line = f"csv:{folder / 'rows.csv'}?target=y"
        return line, data.load(line).info
    if kind == "text":
        return "python-docs", data.load("python-docs").info
    if kind == "document":
        texts = ["some words", "others"] * 100
        return "trec", data.from_arrays(texts, classes).info
    if kind == "pair":
        return "dates", data.from_pairs(["abc", "de"] * 100, ["CBA", "ED"] * 100).info
    images = data.from_arrays(np.zeros((200, 28, 28, 1), np.uint8), classes).info
    if kind == "music":
        about = {"kind": kind, "input_shape": (64, 88), "num_classes": 88}
        return "jsb", images._replace(**about)
    return "mnist", images
