"""Measure every row on a case, each in its own process, in turns."""

import importlib.util
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from rich.console import Console

from bench.processes import Failed, Process
from bench.speed.cases import CASES, Case
from bench.speed.rows import ROWS
from bench.speed.twin import Precision
from fdl.runs.environment import device, made_from, versions

_PACKAGES = ("keras", "tensorflow-cpu", "torch")
_FLAGS = ("XLA_FLAGS", "OMP_NUM_THREADS", "TF_XLA_FLAGS", "JAX_PLATFORMS")

ON_GPU = jax.default_backend() == "gpu"
_PRECISIONS: tuple[Precision, ...] = ("tf32", "float32", "bfloat16")

console = Console(highlight=False)


def start_worker(row: str, case: str, setting: dict[str, Any]) -> Process:
    """Start the process of a row; see `bench.speed.worker`."""
    return Process("bench.speed.worker", row, case, json.dumps(setting))


class Extent(NamedTuple):
    """The extent of the measurements.

    Attributes:
        rounds: Number of measurements of each row, in turns.
        share: Fraction of a case's steps in a block.
        predict: Whether to measure prediction, too.
        large: Whether to measure training with large batches, too.
    """

    rounds: int = 5
    share: float = 1.0
    predict: bool = True
    large: bool = True


QUICK = Extent(rounds=3, share=0.5, predict=False, large=False)


def measure(name: str, rows: list[str], extent: Extent) -> dict[str, Any]:
    """Measure rows on a case, always including fdl; return the results."""
    case = CASES[name]
    rows = [
        row
        for row, about in ROWS.items()
        if row in {"fdl", *rows} and (ON_GPU or not about.gpu)
    ]
    result: dict[str, Any] = {
        "case": name,
        "batch_size": case.batch_size,
        "machine": machine(),
        "versions": package_versions(),
        **made_from(),
        "flags": {flag: os.environ[flag] for flag in _FLAGS if flag in os.environ},
        "matmul": [],
        "rows": {},
    }
    processes: dict[str, Process] = {}
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.npz"

        def begin(row: str) -> dict[str, Any]:
            try:
                processes[row], found = _start(row, name, start, folder, extent)
            except Failed as error:
                console.print(f"{name}: {row} failed: {error}", style="red")
                if row == "fdl":
                    raise
                return {"failed": str(error)}
            errors = {what: f"{error:.0e}" for what, error in found["errors"].items()}
            console.print(f"{name}: {row}", errors)
            return found

        try:
            # fdl writes the initial state of the others. On a GPU these compile in
            # parallel; on CPU one would slow down the trials of another.
            with ThreadPoolExecutor(8 if ON_GPU else 1) as pool:
                found = [begin("fdl"), *pool.map(begin, rows[1:])]
            result["rows"] = dict(zip(rows, found, strict=True))
            result["flops"] = result["rows"]["fdl"].pop("flops")
            for cell in _cells(case, extent):
                _take_turns(cell, processes, result, extent.rounds)
        finally:
            for process in processes.values():
                process.close()
    return result


def machine() -> dict[str, Any]:
    """Describe the machine; results from different machines are not comparable."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return {"device": device(), "threads": os.cpu_count(), "memory_gib": memory}


def package_versions() -> dict[str, str]:
    """Return the versions of all packages."""
    found = [name for name in _PACKAGES if importlib.util.find_spec(name.split("-")[0])]
    return versions(*found)


def settings(row: str) -> tuple[dict[str, Any], ...]:
    """Return the settings to try; on a GPU only the first, as others are for CPUs."""
    return ROWS[row].settings[: 1 if ON_GPU else None]


Trial = tuple[float, Process, dict[str, Any]]
"""The time of a setting, its process, and its errors."""


def faster(best: Trial | None, other: Trial) -> Trial:
    """Return the faster trial, the first if equal, and end the other process."""
    if best is None:
        return other
    best, worse = sorted((best, other), key=lambda trial: trial[0])
    worse[1].close()
    return best


def _start(
    row: str, case: str, start: str, folder: str, extent: Extent
) -> tuple[Process, dict[str, Any]]:
    """Start a row with each of its settings, check it, and keep the fastest."""
    if importlib.util.find_spec(ROWS[row].package) is None:
        raise Failed(f"{ROWS[row].package} is not installed")
    best: Trial | None = None
    steps = _steps(CASES[case], extent)
    noisy = CASES[case].tolerance > 1e-4
    tried = settings(row)
    for setting in tried:
        process = start_worker(row, case, setting)
        try:
            found: dict[str, Any] = {"setting": setting, **process.ask("started")}
            if ON_GPU:
                process.ask("multiply_in", "float32")
            if row == "fdl":
                found |= process.ask("draw", start)
            step = f"{folder}/{row}.npz"
            process.ask("first_step", start, step)
            found["errors"] = _compare(start, f"{folder}/fdl.npz", step, noisy)
            _require_agreement(found["errors"], CASES[case].tolerance)
            trial = float("inf")
            if len(tried) > 1:
                process.ask("train", CASES[case].batch_size, steps)
                trial = min(process.ask("once")["seconds"] for _ in range(2))
                found["trial"] = trial / steps
        except Failed:
            process.close()
            if best is not None:
                best[1].close()
            raise
        best = faster(best, (trial, process, found))
    assert best is not None
    return best[1], {**best[2], "cells": {}}


def _compare(start: str, expected: str, found: str, noisy: bool) -> dict[str, float]:
    """Return the relative errors of the first step; for parameters, of their update.

    Adam's first step has the same size for any gradient, so its sign is arbitrary if
    the gradient is only rounding. If gradients are `noisy`, they weight the update.
    """
    with np.load(start) as a, np.load(expected) as b, np.load(found) as c:
        names = sorted(b.files)
        if names != sorted(c.files):
            raise Failed(f"other arrays: {set(names) ^ set(c.files)}")
        errors = {}
        for group in ("outputs", "loss", "gradients", "params"):
            parts = [name for name in names if name.startswith(f"{group}/")]
            ours, theirs = (
                np.concatenate([np.ravel(x[name]) for name in parts]).astype(float)
                for x in (b, c)
            )
            if group == "params":
                before = np.concatenate([np.ravel(a[name]) for name in parts])
                ours, theirs = ours - before, theirs - before
                if noisy:
                    slopes = [b[p.replace("params", "gradients", 1)] for p in parts]
                    weights = np.concatenate([np.ravel(slope) for slope in slopes])
                    ours, theirs = ours * weights, theirs * weights
            there = ~np.isnan(theirs)
            off = np.linalg.norm((theirs - ours)[there])
            errors[group] = float(off / np.linalg.norm(ours[there]))
    return errors


def _require_agreement(errors: dict[str, float], tolerance: float) -> None:
    for what, error in errors.items():
        limit = 1e-4 if what in ("outputs", "loss") else tolerance
        if not error <= limit:
            raise Failed(f"{what} differ from fdl's by {error:.1e}, over {limit}")


def _steps(case: Case, extent: Extent) -> int:
    return max(2, round(case.steps * extent.share * (8 if ON_GPU else 1)))


class Cell(NamedTuple):
    """One measurement of each row.

    Attributes:
        kind: `train` or `predict`.
        size: Number of examples at a time.
        times: Number of steps or predictions in a block.
        precision: Precision of products, on GPUs; the first is the default there.
    """

    kind: str
    size: int
    times: int
    precision: Precision | None = None

    @property
    def name(self) -> str:
        """The title in the report."""
        usual = self.precision in (None, _PRECISIONS[0])
        return f"{self.kind} {self.size}" + ("" if usual else f" in {self.precision}")


def _cells(case: Case, extent: Extent) -> list[Cell]:
    """Return the cells to measure."""
    steps = _steps(case, extent)
    precisions = _PRECISIONS if ON_GPU else (None,)
    cells = [Cell("train", case.batch_size, steps, each) for each in precisions]
    if extent.predict:
        for size, times in zip(case.inference, (100, 20, 3), strict=True):
            cells.append(Cell("predict", size, times, precisions[0]))
    if extent.large:
        times = max(2, steps * case.batch_size // case.large)
        cells.append(Cell("train", case.large, times, precisions[0]))
    return cells


def _take_turns(
    cell: Cell, processes: dict[str, Process], result: dict[str, Any], rounds: int
) -> None:
    """Measure a cell of every row in turns."""
    taking = {}
    for row, process in list(processes.items()):
        if cell.precision in ROWS[row].lacks:
            continue
        try:
            if cell.precision is not None:
                process.ask("multiply_in", cell.precision)
            found = process.ask(cell.kind, cell.size, cell.times)
        except Failed as error:
            console.print(f"{row} failed: {error}", style="red")
            processes.pop(row).close()
            result["rows"][row] = {"failed": f"{cell.name}: {error}"}
        else:
            taking[row] = process
            begun = {**found, "times": cell.times, "seconds": []}
            result["rows"][row]["cells"][cell.name] = begun
    for _ in range(rounds):
        result["matmul"].append(_matmul_rate())
        for row, process in taking.items():
            time.sleep(0.1)  # threads of the previous row may still be spinning
            seconds = process.ask("once")["seconds"] / cell.times
            result["rows"][row]["cells"][cell.name]["seconds"].append(seconds)
    console.print(f"  {cell.name}:", end=" ")
    for row in taking:
        seconds = result["rows"][row]["cells"][cell.name]["seconds"]
        console.print(f"{row} {np.median(seconds) * 1e3:.3g} ms", end="  ")
    console.print()


@jax.jit
def _product(x: jax.Array) -> jax.Array:
    return x @ x


def _matmul_rate() -> float:
    """Return the operations per second of a large product, the best of a few."""
    size = 8192 if ON_GPU else 2048
    x = jnp.ones((size, size), jnp.float32)
    _product(x).block_until_ready()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        _product(x).block_until_ready()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def run(cases: list[str], rows: list[str], out: Path, extent: Extent) -> bool:
    """Measure cases into one file each; return whether all rows agreed."""
    out.mkdir(parents=True, exist_ok=True)
    well = True
    for case in cases:
        result = measure(case, rows, extent)
        (out / f"{case}.json").write_text(json.dumps(result, indent=1) + "\n")
        well &= all("failed" not in row for row in result["rows"].values())
    return well
