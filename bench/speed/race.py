"""Time from process start to a target accuracy, for the CNN on MNIST.

Every row starts from the same parameters and sees the same batches in the same order,
so all need the same number of epochs, up to rounding. All train on all 60,000 images
with the same fixed settings. The test accuracy after each epoch only determines when a
row has reached the target; it selects nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROWS = ("fdl", "flax", "keras-tf-tuned", "torch-tuned")
TARGETS = (0.985, 0.99)
BATCH, MOST_EPOCHS = 64, 8


def enter(row: str, setting: dict[str, Any], seed: int, folder: str) -> dict[str, Any]:
    """Race in this process; return time and accuracy after each epoch."""
    import time

    import psutil

    from bench.speed.worker import Worker

    began = psutil.Process().create_time()
    worker = Worker(row, "cnn", setting)
    with np.load(f"{folder}/mnist.npz") as stored:
        mnist = dict(stored)
    with np.load(f"{folder}/start-{seed}.npz") as stored:
        start = dict(stored)
    if row == "fdl":
        worker.twin.draw({"input": mnist["test_image"][:1], "label": np.int32([0])})
    worker.twin.load(start)
    rng = np.random.default_rng(seed)
    count = len(mnist["image"]) // BATCH * BATCH
    passes = []
    while len(passes) < MOST_EPOCHS:
        order = rng.permutation(len(mnist["image"]))[:count]
        data = {"input": mnist["image"][order], "label": mnist["label"][order]}
        worker.twin.trainer(data, BATCH)()
        right = 0
        for first in range(0, len(mnist["test_image"]), 500):
            part = slice(first, first + 500)
            outputs = worker.twin.outputs({"input": mnist["test_image"][part]})
            right += np.sum(outputs.argmax(axis=1) == mnist["test_label"][part])
        accuracy = float(right / len(mnist["test_label"]))
        passes.append({"seconds": time.time() - began, "accuracy": accuracy})
        if accuracy >= max(TARGETS):
            break
    return {"import": worker.imported, "passes": passes}


def race(out: Path, rounds: int, data_dir: Path | None) -> dict[str, Any]:
    """Race all rows in turns, `rounds` times, each from different parameters."""
    import jax

    from bench.speed.rivals.fdl_ import Twin, flat
    from bench.speed.rows import ROWS as KNOWN
    from bench.speed.run import console, machine, package_versions
    from fdl import data
    from fdl.arrays import unit_scale
    from fdl.runs.environment import made_from

    if not (out / "cnn.json").is_file():
        raise FileNotFoundError(
            f"{out / 'cnn.json'} is missing; it has the settings of the rivals: run "
            f"'python -m bench run cnn --out {out}' first."
        )
    known = json.loads((out / "cnn.json").read_text())["rows"]
    settings = {row: known.get(row, {}).get("setting") for row in ROWS}
    settings = {
        row: KNOWN[row].settings[0] if setting is None else setting
        for row, setting in settings.items()
    }
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        mnist = data.load("mnist", data_dir=data_dir, validation=None)
        np.savez(
            f"{folder}/mnist.npz",
            image=np.asarray(unit_scale(mnist.train.image)),
            label=mnist.train.label,
            test_image=np.asarray(unit_scale(mnist.test.image)),
            test_label=mnist.test.label,
        )
        for seed in range(rounds):
            twin = Twin("cnn")
            state = twin.learner.init(
                jax.random.key(seed), (mnist.test.image[:1], mnist.test.label[:1])
            )
            np.savez(f"{folder}/start-{seed}.npz", **flat(state.params))
            for row in ROWS:
                for cache in ("cold", "warm"):
                    compiled = f"{folder}/compiled-{row}-{seed}"
                    words = [row, json.dumps(settings[row]), str(seed), folder]
                    done = subprocess.run(
                        [sys.executable, "-m", "bench.speed.race", *words],
                        check=True,
                        capture_output=True,
                        text=True,
                        env={
                            **os.environ,
                            "JAX_COMPILATION_CACHE_DIR": compiled,
                            "TF_CPP_MIN_LOG_LEVEL": "3",
                        },
                    )
                    found = json.loads(done.stdout.splitlines()[-1])
                    runs.append({"row": row, "cache": cache, "seed": seed, **found})
                    console.print(runs[-1])
                    if row != "fdl":  # others have no cache by default
                        break
    result = {
        "machine": machine(),
        "versions": package_versions(),
        **made_from(),
        "settings": settings,
        "runs": runs,
    }
    (out / "race.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def table(result: dict[str, Any]) -> list[str]:
    """Return the table of seconds from process start."""
    from bench.speed.rows import ROWS as KNOWN

    heads = ["row", "compiled programs", "import", "end of the first pass"]
    heads += [f"{target:.1%}" for target in TARGETS]
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for row in ROWS:
        for cache in ("cold", "warm"):
            runs = [r for r in result["runs"] if (r["row"], r["cache"]) == (row, cache)]
            if not runs:
                continue
            columns = [
                [run["import"] for run in runs],
                [run["passes"][0]["seconds"] for run in runs],
                *([reached(run, target) for run in runs] for target in TARGETS),
            ]
            kept = {"cold": "none", "warm": "cached"}[cache]
            words = [KNOWN[row].title, kept, *(_seconds(column) for column in columns)]
            lines.append(f"| {' | '.join(words)} |")
    return lines


def reached(run: dict[str, Any], target: float) -> float | None:
    """Return the seconds after which a run reached an accuracy."""
    for one in run["passes"]:
        if one["accuracy"] >= target:
            return one["seconds"]
    return None


def _seconds(column: list[float | None]) -> str:
    found = sorted(x for x in column if x is not None)
    if len(found) < len(column):
        return f"{len(found)} of {len(column)} reached it"
    return f"{np.median(found):.1f} s ({found[0]:.1f} - {found[-1]:.1f})"


if __name__ == "__main__":
    row, setting, seed, folder = sys.argv[1:]
    print(json.dumps(enter(row, json.loads(setting), int(seed), folder)))
