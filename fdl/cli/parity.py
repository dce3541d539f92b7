"""`fdl parity`."""

import dataclasses
import importlib
import importlib.util
import logging
import math
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.progress import track
from rich.table import Table

import fdl
from fdl.cli.command import AnswerIsNoError, Command, err, out
from fdl.files import json_text, write_whole


@dataclasses.dataclass(frozen=True)
class Parity(Command):
    """Measure how far models and layers are the same as in Keras, level by level.

    Runs the ladder of fdl's tests, so it needs a checkout of fdl and the extra `test`.
    Level 0 is about parameters, 1 about outputs, 2 about gradients and batch
    statistics, 3 about 5 steps of 5 optimizers, 4 about the first 20 steps of an epoch.
    Layers are measured in several shapes and options, of which the worst counts.
    Models of keras.applications are imported and compared with themselves; those that
    fdl.models has too, such as models.ResNet50, with these.

    Attributes:
        names: Models (cnn), layers (Conv2D) and models of keras.applications
            (ResNet50, or models.ResNet50 for the one of fdl); all models and layers if
            none is given.
        large: At level 4, train for a whole epoch in double precision; and if no name
            is given, measure all of keras.applications, too.
        out: Folder for parity.json and parity.md.
    """

    names: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")
    ] = ()
    large: bool = False
    out: Path = Path("runs/parity")

    def __call__(self) -> None:
        """Climb, print, write."""
        from fdl.runs.environment import commit, device, versions

        ladder, tables, subjects = _ladder()
        usual = {**subjects.MODELS, **subjects.LAYERS}
        known = {**usual, **subjects.applications()}
        for name in self.names:
            if name not in known:
                raise ValueError(
                    f"there is no {name!r} to compare; known are {', '.join(known)}."
                )
        rungs: list[Any] = []
        for name in track(
            self.names or tuple(known if self.large else usual),
            "Climbing",
            console=err,
            transient=True,
        ):
            rungs += ladder.climb_all(known[name](), large=self.large)
        out.print(_table(tables.summary(rungs)))
        self.out.mkdir(parents=True, exist_ok=True)
        record = {
            "command": " ".join(
                ("fdl parity", *self.names, *(["--large"] if self.large else []))
            ),
            "device": device(),
            "versions": versions("keras", "tensorflow-cpu"),
            "commit": commit(),
            "models": {
                name: {"parameters": ladder.size(known[name]()[0])}
                for name in self.names or subjects.MODELS
                if name in subjects.MODELS
            },
            "rungs": [_as_json(rung) for rung in rungs],
        }
        text = json_text(record, indent=1) + "\n"
        write_whole(self.out / "parity.json", text.encode())
        write_whole(self.out / "parity.md", tables.markdown(rungs).encode())
        out.print(f"written to {self.out / 'parity.json'} and parity.md")
        broken = [rung for rung in rungs if not rung.passed]
        if broken:
            raise AnswerIsNoError("; ".join(str(rung) for rung in broken))


def _ladder() -> tuple[Any, Any, Any]:
    """Return the modules ladder, rungs and subjects of `parity` among the tests."""
    tests = Path(fdl.__file__).resolve().parents[1] / "tests"
    if not (tests / "parity" / "ladder.py").is_file():
        raise ValueError(
            "fdl parity runs the ladder of fdl's tests, which are not here: clone fdl "
            "and run it there, after pip install -e '.[test]'."
        )
    for package in ("keras", "tensorflow"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"fdl parity needs {package}, which is not installed: "
                "pip install -e '.[test]'."
            )
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # and its notice
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if str(tests) not in sys.path:
        sys.path.insert(0, str(tests))
    ladder, rungs, subjects = (
        importlib.import_module(f"parity.{name}")
        for name in ("ladder", "rungs", "subjects")
    )
    return ladder, rungs, subjects


def _as_json(rung: Any) -> dict[str, Any]:
    error = rung.error if math.isfinite(rung.error) else None
    measured = {**rung._asdict(), "error": error}
    return {**measured, "tolerance": rung.tolerance, "passed": rung.passed}


def _table(summary: list[list[str]]) -> Table:
    head, *rows = summary
    table = Table(*head, title="||fdl - Keras|| / ||Keras||, the largest of all arrays")
    for row in rows:
        table.add_row(*row, style="red" if any("FAIL" in cell for cell in row) else "")
    return table
