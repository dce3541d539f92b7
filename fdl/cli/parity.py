"""`fdl parity`."""

import concurrent.futures
import dataclasses
import importlib
import importlib.util
import json
import logging
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.progress import track
from rich.table import Table

import fdl
from fdl.cli.command import AnswerIsNoError, Command, err, out, unset
from fdl.files import json_text, write_whole


@dataclasses.dataclass(frozen=True)
class Parity(Command):
    """Measure how closely models and layers match Keras, level by level.

    Runs the ladder of fdl's tests, so it needs a checkout of fdl and the extra `test`.
    Level 0 compares parameters, 1 outputs, 2 gradients and batch statistics, 3 five
    steps of 5 optimizers, 4 the first 20 steps of an epoch. Layers are measured with
    several shapes and options, and the worst counts. Models of keras.applications are
    compared as fdl imports them and, under names such as models.ResNet50, as fdl.models
    builds them.

    Attributes:
        names: Models (cnn), layers (Conv2D) and models of keras.applications
            (ResNet50, or models.ResNet50 for fdl's own); all models and layers if none
            is given.
        large: At level 4, train for a whole epoch in double precision; and if no name
            is given, measure all of keras.applications, too.
        resume: If no name is given, skip those that parity.json in `out` already has.
        processes: Number of parallel processes; each takes up to 2 GB, and up to 6 GB
            for the largest models of keras.applications.
        out: Folder for parity.json and parity.md, updated after each model or layer;
            entries for others stay.
    """

    names: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")
    ] = ()
    large: bool = False
    resume: bool = False
    processes: Annotated[int | None, unset("optional")] = None
    out: Path = Path("runs/parity")

    def __call__(self) -> None:
        """Climb the ladder, print and write the results."""
        _, tables, subjects = _ladder()
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"--processes must be at least 1, not {self.processes}.")
        order = [*subjects.MODELS, *subjects.LAYERS]
        if self.large or not set(self.names) <= set(order):
            order += subjects.applications()
        for name in self.names:
            if name not in order:
                raise ValueError(
                    f"there is no {name!r} to compare; choose from {', '.join(order)}."
                )
        rows = _read(self.out / "parity.json")
        done = rows if self.resume else {}
        names = self.names or [name for name in order if name not in done]
        self.out.mkdir(parents=True, exist_ok=True)
        for name, row in track(
            self._climb(names), "Climbing", len(names), console=err, transient=True
        ):
            rows = {**rows, name: row}
            rows = {name: rows[name] for name in [*order, *rows] if name in rows}
            text = json_text({"rows": rows}, indent=1) + "\n"
            write_whole(self.out / "parity.json", text.encode())
            rungs = [rung for row in rows.values() for rung in _rungs(tables, row)]
            write_whole(self.out / "parity.md", tables.markdown(rungs).encode())
        rungs = [rung for name in names for rung in _rungs(tables, rows[name])]
        out.print(_table(tables.summary(rungs)))
        out.print(f"written to {self.out / 'parity.json'} and parity.md")
        broken = [rung for rung in rungs if not rung.passed]
        if broken:
            raise AnswerIsNoError("; ".join(str(rung) for rung in broken))

    def _climb(self, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        processes = self.processes or len(os.sched_getaffinity(0))
        if min(processes, len(names)) <= 1:
            for name in names:
                yield name, _measure(name, self.large)
            return
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(
            processes, spawn, _take_one_thread
        ) as pool:
            found = {pool.submit(_measure, name, self.large): name for name in names}
            try:
                for future in concurrent.futures.as_completed(found):
                    yield found[future], future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _take_one_thread() -> None:
    """Use one thread, which leaves the other cores to the other processes."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    for threads in ("INTRAOP", "INTEROP"):
        os.environ[f"TF_NUM_{threads}_THREADS"] = "1"


def _measure(name: str, large: bool) -> dict[str, Any]:
    """Measure a model or layer, and return its entry in parity.json."""
    from fdl.runs.environment import made_with, versions

    ladder, _, subjects = _ladder()
    known = {**subjects.MODELS, **subjects.LAYERS}
    start = time.perf_counter()
    draws = (known if name in known else subjects.applications())[name]()
    rungs = ladder.climb_all(draws, large=large)
    return {
        "command": f"fdl parity {name}" + " --large" * large,
        **made_with(),
        "versions": versions("keras", "tensorflow-cpu"),
        "seconds": round(time.perf_counter() - start, 1),
        "parameters": None if draws[0].model is None else ladder.size(draws[0]),
        "rungs": [_as_json(rung) for rung in rungs],
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of earlier runs, by model or layer."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text())["rows"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} was not written by this version of fdl parity: remove it, or pass "
            "another folder with --out."
        ) from None


def _rungs(tables: Any, row: dict[str, Any]) -> list[Any]:
    found = []
    for rung in row["rungs"]:
        kept = {name: rung[name] for name in tables.Rung._fields}
        error = math.inf if rung["error"] is None else rung["error"]
        found.append(tables.Rung(**kept | {"error": error}))
    return found


def _ladder() -> tuple[Any, Any, Any]:
    """Import the modules ladder, rungs and subjects of `parity` from the tests."""
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
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # and no notice of it
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
