"""Measure every operation: compare all sides, then time them in turns."""

import importlib.util
import json
import os
import random
import tempfile
import time
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench.ops.programs import USES, Use
from bench.ops.rows import ROWS, Row
from bench.ops.sides import SIDES
from bench.processes import Failed, Process
from bench.speed.run import ON_GPU, console, machine, package_versions
from bench.speed.twin import Precision
from fdl.runs.environment import made_from

TOLERANCES: dict[Precision | None, float] = {
    None: 1e-4,
    "float32": 1e-4,
    "tf32": 1e-2,
    "bfloat16": 5e-2,
}
"""Tolerances of outputs and gradients, relative to the norm of fdl's."""


class Extent(NamedTuple):
    """The extent of the measurements.

    Attributes:
        turns: Number of turns; fewer if a turn takes long.
        block: Seconds of each side in a turn, at least one call.
        most: Limit on the seconds of a cell, after the first three turns.
    """

    turns: int
    block: float
    most: float


FULL = Extent(turns=7, block=0.02, most=1.0)
QUICK = Extent(turns=5, block=0.01, most=0.5)


class Asks(Protocol):
    """A side in its own process."""

    def ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        """Send a command and wait for the answer."""
        ...


def chosen(names: Iterable[str]) -> list[Row]:
    """Return the rows selected by names of rows, with wildcards, or of operations.

    Raises:
        ValueError: If a name matches nothing.
    """
    rows = {}
    for name in names or ("*",):
        found = [
            row
            for row in ROWS.values()
            if row.operation == name or fnmatch(row.name, name)
        ]
        if not found:
            raise ValueError(
                f"{name!r} is not a row or an operation; rows are {', '.join(ROWS)}."
            )
        rows |= {row.name: row for row in found}
    return [row for row in ROWS.values() if row.name in rows]


def measure(
    row: Row,
    batch: int,
    use: Use,
    precision: Precision | None,
    sides: dict[str, Asks],
    extent: Extent,
) -> dict[str, Any]:
    """Compare the sides with fdl, which must come first, and time those that agree."""
    found: dict[str, Any] = {}
    sides = {
        side: process
        for side, process in sides.items()
        if side not in row.without and precision not in SIDES[side].lacks
    }
    with tempfile.TemporaryDirectory() as folder:
        for side, process in sides.items():
            file = f"{folder}/{side}.npz"
            try:
                facts = process.ask("prepare", row, batch, use, precision, file)
                errors = compare(f"{folder}/fdl.npz", file)
                _require_agreement(errors, TOLERANCES[precision])
                took = process.ask("once", 1)
                if took["wall"] < 1:  # repeat, as a first call may be slow
                    took = min(took, process.ask("once", 1), key=lambda t: t["wall"])
                trial = took["wall"]
            except Failed as error:
                found[side] = {"failed": str(error)}
                if side == "fdl":
                    break
            else:
                times = max(1, round(extent.block / trial))
                found[side] = {**facts, "errors": errors, "times": times}
                found[side] |= {"trial": trial, "wall": [trial], "cpu": [took["cpu"]]}
    _take_turns(found, sides, extent)
    cell = {"batch": batch, "use": use, "sides": found}
    return cell if precision is None else {**cell, "precision": precision}


def compare(expected: str, found: str) -> dict[str, float]:
    """Return relative errors of the output and of gradients or arrays, by name.

    Norms are at least a thousandth of the largest gradient's: some gradients are zero
    up to rounding, such as that of the key bias in attention. NaN marks missing values.
    """
    with np.load(expected) as a, np.load(found) as b:
        if sorted(a.files) != sorted(b.files):
            raise Failed(f"other arrays: {set(a.files) ^ set(b.files)}")
        norms = {name: float(np.linalg.norm(a[name])) for name in a.files}
        least = 1e-3 * max((norms[n] for n in norms if n != "output"), default=0)
        errors = {}
        for name in a.files:
            ours, theirs = np.ravel(a[name]), np.ravel(b[name])
            if ours.shape != theirs.shape:
                raise Failed(f"{name}: {theirs.shape} is not fdl's {ours.shape}")
            there = ~np.isnan(theirs)
            off = float(np.linalg.norm((theirs - ours)[there]))
            errors[name] = off / max(norms[name], least)
    return errors


def _require_agreement(errors: dict[str, float], tolerance: float) -> None:
    for name, error in errors.items():
        if not error <= tolerance:
            raise Failed(f"{name} differs from fdl's by {error:.1e}, over {tolerance}")


def _take_turns(found: dict[str, Any], sides: dict[str, Asks], extent: Extent) -> None:
    agreed = {side: one for side, one in found.items() if "failed" not in one}
    # A side that is several times slower cannot be the fastest, so its trial suffices.
    fastest = min(
        (agreed[side]["trial"] for side in agreed if side != "fdl"), default=0
    )
    order = [s for s in agreed if s == "fdl" or agreed[s]["trial"] <= 4 * fastest]
    for side in order:
        agreed[side] |= {"wall": [], "cpu": []}
    began, rest = time.perf_counter(), 0.0
    shuffle = random.Random(0).shuffle
    for turn in range(extent.turns):
        if turn >= 3 and time.perf_counter() - began > extent.most:
            break
        shuffle(order)
        for side in order:
            one = agreed[side]
            time.sleep(rest)
            rest = SIDES[side].rest
            if one["trial"] < extent.block:
                # While waiting, it may have been evicted from caches.
                sides[side].ask("once", max(1, one["times"] // 4))
            took = sides[side].ask("once", one["times"])
            one["wall"].append(took["wall"])
            one["cpu"].append(took["cpu"])


def cells(
    row: Row, uses: Iterable[Use], batches: Iterable[int]
) -> list[tuple[int, Use]]:
    """Return the cells of a row for the given uses and batch sizes; loops have one."""
    middle = row.batches[len(row.batches) // 2]
    return [
        (batch, use)
        for batch in row.batches
        if not batches or batch in batches
        for use in USES
        if use in uses and (use != "loop" or batch == middle)
    ]


def run(
    rows: list[Row],
    uses: Iterable[Use],
    batches: Iterable[int],
    precisions: Iterable[Precision],
    out: Path,
    extent: Extent,
    until: float = float("inf"),
) -> bool:
    """Measure rows into one file each; return whether all sides agreed.

    No row starts after the time `until` of `time.monotonic`.
    """
    out.mkdir(parents=True, exist_ok=True)
    well = True
    sides: dict[str, Any] = {
        name: Process("bench.ops.worker", name)
        for name, side in SIDES.items()
        if (ON_GPU or not side.gpu) and importlib.util.find_spec(side.package)
    }
    about = {
        "machine": machine(),
        "versions": package_versions(),
        **made_from(),
        "flags": {flag: os.environ[flag] for flag in _FLAGS if flag in os.environ},
    }
    began = time.perf_counter()
    try:
        for row in rows:
            if time.monotonic() > until:
                console.print(f"no time for {row.name} and later rows", style="red")
                break
            found = []
            for batch, use in cells(row, uses, batches):
                for precision in precisions if ON_GPU else (None,):
                    cell = measure(row, batch, use, precision, sides, extent)
                    found.append(cell)
                    _say(row, cell)
                    well &= all("failed" not in x for x in cell["sides"].values())
            if found:
                result = {"row": row.name, "operation": row.operation, **about}
                text = json.dumps({**result, "cells": found}, indent=1)
                (out / f"{row.name}.json").write_text(text + "\n")
    finally:
        for process in sides.values():
            process.close()
    console.print(f"{time.perf_counter() - began:.0f} s")
    return well


_FLAGS = ("XLA_FLAGS", "OMP_NUM_THREADS", "TF_XLA_FLAGS", "JAX_PLATFORMS")


def _say(row: Row, cell: dict[str, Any]) -> None:
    from bench.ops.report import CLIFF, ratio

    low, median, high = ratio(cell)
    times = [
        f"{side} {np.median(one['wall']) * 1e3:.3g}"
        if "failed" not in one
        else f"{side}: {one['failed']}"
        for side, one in cell["sides"].items()
    ]
    console.print(
        f"{row.name} {cell['batch']} {cell['use']}: {median:.2f} ({low:.2f} - "
        f"{high:.2f}); {', '.join(times)} ms",
        style="red" if median > CLIFF else None,
    )
