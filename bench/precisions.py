"""Speed and accuracy of the tutorial's CNN in each precision of a GPU.

    python -m bench.precisions [--seeds 5] [--data-dir DIR]

Each run is `fdl train cnn --validation none`: five epochs of all 60,000 images of
MNIST, with fixed settings and no selection; the test set is evaluated once, at the end.
Only training is timed; the first run includes compilation. Writes
bench/results/precisions.json.
"""

import json
from pathlib import Path
from typing import Any, get_args

import jax
import tyro

import fdl
from bench.speed.rivals.applied import jax_multiplies_in
from bench.speed.twin import Precision
from fdl import nn
from fdl.runs.environment import made_with
from fdl.tasks import find

RESULT = Path(__file__).parent / "results" / "precisions.json"


def main(*, seeds: int = 5, data_dir: Path | None = None, out: Path = RESULT) -> None:
    """Train with each precision, and write the results.

    Args:
        seeds: Number of runs for each precision.
        data_dir: Folder of the original data files.
        out: File for the result.
    """
    task = find("cnn")
    config = task.config()
    data = fdl.data.load(config.dataset, data_dir=data_dir, validation=None)
    model = task.make_model(config.options, data.info)
    runs: dict[str, list[dict[str, Any]]] = {}
    for precision in get_args(Precision):
        jax_multiplies_in(precision)
        half = precision == "bfloat16"
        learner = task.learn(
            nn.MixedPrecision(model) if half else model, config, data.info
        )
        runs[precision] = []
        for seed in range(seeds):
            run = fdl.fit(
                learner,
                data.train,
                epochs=config.epochs,
                batch_size=config.batch_size,
                key=jax.random.key(seed),
            )
            measured = fdl.evaluate(learner, run.state, data.test)
            runs[precision].append({**measured, "seconds": run.seconds})
            print(precision, runs[precision][-1], flush=True)
    result = {
        **made_with(),
        "command": "fdl train cnn --validation none",
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "runs": runs,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
