"""Measures: every row on a case in a process of its own, in turns."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from rich.console import Console

from bench.speed.cases import CASES, INFERENCE, Case
from bench.speed.rows import ROWS
from fdl.cli.environment import commit, device, versions

_PACKAGES = ("keras", "tensorflow-cpu", "torch")
_FLAGS = ("XLA_FLAGS", "OMP_NUM_THREADS", "TF_XLA_FLAGS", "JAX_PLATFORMS")

console = Console(highlight=False)


class Failed(RuntimeError):
    """A row could not be measured, or does not agree."""


class Process:
    """A worker that waits for commands; see `bench.speed.worker`."""

    def __init__(self, row: str, case: str, setting: dict[str, Any]) -> None:
        """Start it."""
        self.log = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "bench.speed.worker", row, case]
        self.process = subprocess.Popen(
            [*command, json.dumps(setting)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        """Have it do something and wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps([name, *arguments]), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines() or ["no message"]
            raise Failed(lines[-1])
        return json.loads(answer)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
        self.log.close()


class Extent(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: Times that each row gets its turn.
        share: Of a case's steps in a block.
        predict: Whether to predict too.
        large: Whether to train with large batches too.
    """

    rounds: int = 5
    share: float = 1.0
    predict: bool = True
    large: bool = True


QUICK = Extent(rounds=3, share=0.5, predict=False, large=False)


def measure(name: str, rows: list[str], extent: Extent) -> dict[str, Any]:
    """Measure rows on a case, fdl always among them; return what goes into the file."""
    case = CASES[name]
    rows = [row for row in ROWS if row in {"fdl", *rows}]
    result: dict[str, Any] = {
        "case": name,
        "batch_size": case.batch_size,
        "machine": machine(),
        "versions": package_versions(),
        "commit": commit(),
        "flags": {flag: os.environ[flag] for flag in _FLAGS if flag in os.environ},
        "matmul": [],
        "rows": {},
    }
    processes: dict[str, Process] = {}
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.npz"
        try:
            for row in rows:
                if name in ROWS[row].without:
                    continue
                console.print(f"{name}: {row}", end=" ")
                try:
                    processes[row], found = _start(row, name, start, folder, extent)
                except Failed as error:
                    found = {"failed": str(error)}
                    console.print(f"failed: {error}", style="red")
                    if row == "fdl":
                        raise
                else:
                    console.print({k: f"{x:.0e}" for k, x in found["errors"].items()})
                result["rows"][row] = found
            result["flops"] = result["rows"]["fdl"].pop("flops")
            cells = _cells(case, extent)
            for cell, (kind, size, times) in cells.items():
                _take_turns(cell, kind, size, times, processes, result, extent.rounds)
        finally:
            for process in processes.values():
                process.close()
    return result


def machine() -> dict[str, Any]:
    """Return what results must have in common to be shown together."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return {"device": device(), "threads": os.cpu_count(), "memory_gib": memory}


def package_versions() -> dict[str, str]:
    """Return the versions of all that is compared."""
    found = [name for name in _PACKAGES if importlib.util.find_spec(name.split("-")[0])]
    return versions(*found)


def _start(
    row: str, case: str, start: str, folder: str, extent: Extent
) -> tuple[Process, dict[str, Any]]:
    """Start a row with each of its settings, check it, and keep the fastest."""
    if importlib.util.find_spec(ROWS[row].package) is None:
        raise Failed(f"{ROWS[row].package} is not installed")
    best: tuple[float, Process, dict[str, Any]] | None = None
    steps = _steps(CASES[case], extent)
    for setting in ROWS[row].settings:
        process = Process(row, case, setting)
        try:
            found: dict[str, Any] = {"setting": setting, **process.ask("started")}
            if row == "fdl":
                found |= process.ask("draw", start)
            step = f"{folder}/{row}.npz"
            process.ask("first_step", start, step)
            found["errors"] = _compare(start, f"{folder}/fdl.npz", step)
            _require_agreement(found["errors"], CASES[case].tolerance)
            trial = float("inf")
            if len(ROWS[row].settings) > 1:
                process.ask("train", CASES[case].batch_size, steps)
                trial = min(process.ask("once")["seconds"] for _ in range(2))
                found["trial"] = trial / steps
        except Failed:
            process.close()
            if best is not None:
                best[1].close()
            raise
        if best is None or trial < best[0]:
            best, worse = (trial, process, found), best
        else:
            worse = (trial, process, found)
        if worse is not None:
            worse[1].close()
    assert best is not None
    return best[1], {**best[2], "cells": {}}


def _compare(start: str, expected: str, found: str) -> dict[str, float]:
    """Return relative errors of a first step; that of parameters, of what was added."""
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
    return max(2, round(case.steps * extent.share))


def _cells(case: Case, extent: Extent) -> dict[str, tuple[str, int, int]]:
    """Return what is measured by its name: how, of what size, how many in a block."""
    steps = _steps(case, extent)
    cells = {f"train {case.batch_size}": ("train", case.batch_size, steps)}
    if extent.predict:
        for size, times in zip(INFERENCE, (100, 20, 3), strict=True):
            cells[f"predict {size}"] = ("predict", size, times)
    if extent.large:
        times = max(2, steps * case.batch_size // case.large)
        cells[f"train {case.large}"] = ("train", case.large, times)
    return cells


def _take_turns(
    cell: str,
    kind: str,
    size: int,
    times: int,
    processes: dict[str, Process],
    result: dict[str, Any],
    rounds: int,
) -> None:
    """Measure a cell of every row, one after the other, again and again."""
    for row, process in list(processes.items()):
        try:
            found = process.ask(kind, size, times)
        except Failed as error:
            console.print(f"{row} failed: {error}", style="red")
            processes.pop(row).close()
            result["rows"][row] = {"failed": f"{cell}: {error}"}
        else:
            result["rows"][row]["cells"][cell] = {**found, "seconds": []}
    for _ in range(rounds):
        result["matmul"].append(_matmul_rate())
        for row, process in processes.items():
            time.sleep(0.1)  # threads of the row before may still wait in a loop
            seconds = process.ask("once")["seconds"] / times
            result["rows"][row]["cells"][cell]["seconds"].append(seconds)
    console.print(f"  {cell}:", end=" ")
    for row in processes:
        seconds = result["rows"][row]["cells"][cell]["seconds"]
        console.print(f"{row} {np.median(seconds) * 1e3:.3g} ms", end="  ")
    console.print()


@jax.jit
def _product(x: jax.Array) -> jax.Array:
    return x @ x


def _matmul_rate(size: int = 2048) -> float:
    """Return the operations in a second of a large product, the best of a few."""
    x = jnp.ones((size, size), jnp.float32)
    _product(x).block_until_ready()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        _product(x).block_until_ready()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def run(cases: list[str], rows: list[str], out: Path, extent: Extent) -> bool:
    """Measure cases, each into a file of its own; return whether all rows agreed."""
    out.mkdir(parents=True, exist_ok=True)
    well = True
    for case in cases:
        result = measure(case, rows, extent)
        (out / f"{case}.json").write_text(json.dumps(result, indent=1) + "\n")
        well &= all("failed" not in row for row in result["rows"].values())
    return well
