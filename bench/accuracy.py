"""Test accuracy of each recipe over seeds, fdl's and Keras'.

    python -m bench.accuracy RECIPE... [--seeds 5] [--data-dir DIR]

Each seed trains in a process of its own. The results are in
bench/results/accuracy/RECIPE.json, written after every seed; seeds that are there
already are not trained again. `python -m bench.tables` prints them in the README.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tyro

RESULTS = Path(__file__).parent / "results" / "accuracy"

FDL = ("fdl", "train")
KERAS = (sys.executable, "-m", "bench.keras_cnn")

RECIPES: dict[str, tuple[str, ...]] = {
    "cnn": (*FDL, "cnn"),
    "cnn-keras": KERAS,
    "cnn-one-cycle": (*FDL, "cnn", "--schedule", "one-cycle"),
    "cnn-5k": (*FDL, "cnn", "--dataset", "mnist-5k"),
    "cnn-fashion": (*FDL, "cnn", "--dataset", "fashion_mnist"),
    "mlp": (*FDL, "mlp"),
}


def train(recipe: str, seed: int, data_dir: Path | None) -> dict[str, Any]:
    """Train one seed in a new process and return its result.json."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [*RECIPES[recipe], "--seed", str(seed), "--run", str(run)]
        if data_dir is not None:
            command += ["--data-dir", str(data_dir)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
        )
        return json.loads((run / "result.json").read_text())


def summarize(runs: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return mean, standard deviation, least and greatest test accuracy."""
    found = [run["metrics"]["accuracy"] for run in runs.values()]
    return {
        "mean": statistics.fmean(found),
        "sd": statistics.stdev(found) if len(found) > 1 else 0.0,
        "min": min(found),
        "max": max(found),
    }


def main(
    recipes: tyro.conf.Positional[tuple[str, ...]],
    /,
    *,
    seeds: int = 5,
    data_dir: Path | None = None,
) -> None:
    """Measure recipes.

    Args:
        recipes: Which; all if none is given.
        seeds: How many seeds, from 0.
        data_dir: Folder of the original data files.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    for recipe in recipes or tuple(RECIPES):
        file = RESULTS / f"{recipe}.json"
        kept = json.loads(file.read_text())["runs"] if file.exists() else {}
        for seed in map(str, range(seeds)):
            if seed in kept:
                continue
            kept[seed] = train(recipe, int(seed), data_dir)
            words = ["python" if w == sys.executable else w for w in RECIPES[recipe]]
            content = {
                "recipe": recipe,
                "command": " ".join(words),
                "accuracy": summarize(kept),
                "runs": kept,
            }
            file.write_text(json.dumps(content, indent=1) + "\n")
            accuracy = kept[seed]["metrics"]["accuracy"]
            print(f"{recipe} seed {seed}: {accuracy:.2%}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
