"""The speedrun: 99 % mean test accuracy on MNIST in the shortest time.

    python -m bench.speedrun [--seeds 20] [--data-dir DIR]

Each seed runs in its own process, timed from its start: imports, data, compilation,
training, and a single evaluation at the end. The first run compiles everything (cold);
the others find compiled programs (warm), which `fdl train` keeps by default. Then each
ingredient of the recipe is removed, for a few seeds each. The recipe and the changes
are fixed, and these figures select nothing, so training uses all 60,000 images, as
`fdl train mnist-fast --validation none` does. Writes bench/results/speedrun.json.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

RESULT = Path(__file__).parent / "results" / "speedrun.json"
_ABLATION_SEEDS = 5


def once(seed: int, data_dir: str | None = None) -> dict[str, float]:
    """Train and evaluate; return accuracy and seconds, including process start."""
    import jax
    import psutil

    import fdl
    from fdl.runs.compiled import keep_compiled
    from fdl.tasks import find

    since_process_start = lambda: time.time() - psutil.Process().create_time()
    keep_compiled()
    imported = since_process_start()
    task = find("mnist-fast")
    config = task.config(seed=seed)
    mnist = fdl.data.load("mnist", data_dir=data_dir, validation=None)
    loaded = since_process_start()
    learner = task.learn(
        task.make_model(config.options, mnist.info), config, mnist.info
    )
    run = fdl.fit(
        learner,
        mnist.train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=jax.random.key(seed),
    )
    trained = since_process_start()
    accuracy = fdl.evaluate(learner, run.state, mnist.test)["accuracy"]
    return {
        "accuracy": accuracy,
        "import": imported,
        "data": loaded - imported,
        "train": run.seconds["train"],
        "start and compile": trained - loaded - run.seconds["train"],
        "evaluate": since_process_start() - trained,
        "total": since_process_start(),
    }


def ablations(data_dir: str | None = None) -> dict[str, dict[str, Any]]:
    """Return accuracies and training times with one ingredient changed at a time."""
    import flax.linen as linen
    import jax

    import fdl
    from fdl import nn
    from fdl.tasks import find

    class Pooled(linen.Module):
        """The network with the usual pooling instead of the stride."""

        @linen.compact
        def __call__(self, image: Any, *, train: bool = False) -> Any:
            x = nn.relu(nn.Conv2D(16, (3, 3), name="conv1")(image))
            x = nn.relu(nn.Conv2D(32, (3, 3), name="conv2")(nn.max_pool(x, (2, 2))))
            x = nn.max_pool(x, (2, 2)).reshape(*x.shape[:-3], -1)
            return nn.Dense(10, name="head")(nn.relu(nn.Dense(128, name="dense")(x)))

    class ReluFirst(linen.Module):
        """The network with ReLU before the pooling."""

        @linen.compact
        def __call__(self, image: Any, *, train: bool = False) -> Any:
            x = nn.relu(nn.Conv2D(16, (4, 4), strides=(2, 2), name="conv1")(image))
            x = nn.max_pool(nn.relu(nn.Conv2D(32, (3, 3), name="conv2")(x)), (2, 2))
            x = x.reshape(*x.shape[:-3], -1)
            return nn.Dense(10, name="head")(nn.relu(nn.Dense(128, name="dense")(x)))

    task = find("mnist-fast")
    mnist = fdl.data.load("mnist", data_dir=data_dir, validation=None)
    cnn = lambda: task.make_model(task.options, mnist.info)
    narrow = lambda: fdl.models.FastCNN(10, hidden_size=64)
    changes: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
        "the recipe": (cnn, {}),
        "constant rate": (cnn, {"schedule": "constant"}),
        "batches of 256": (cnn, {"batch_size": 256}),
        "dense layer of 64": (narrow, {}),
        "ReLU before pooling": (ReluFirst, {}),
        "3x3 and pooling for 4x4 with stride": (Pooled, {}),
        "one pass": (cnn, {"epochs": 1}),
        "three passes": (cnn, {"epochs": 3}),
    }
    found = {}
    for name, (make_model, settings) in changes.items():
        accuracies, seconds = [], []
        for seed in range(_ABLATION_SEEDS):
            config = task.config(seed=seed, **settings)
            learner = task.learn(make_model(), config, mnist.info)
            run = fdl.fit(
                learner,
                mnist.train,
                epochs=config.epochs,
                batch_size=config.batch_size,
                key=jax.random.key(seed),
            )
            measured = fdl.evaluate(learner, run.state, mnist.test)
            accuracies.append(measured["accuracy"])
            seconds.append(run.seconds["train"])
        found[name] = {"accuracy": accuracies, "train": seconds}
        print(name, found[name], flush=True)
    return found


def main(*, seeds: int = 20, data_dir: Path | None = None) -> None:
    """Measure the recipe and its ablations.

    Args:
        seeds: Number of seeds, from 0.
        data_dir: Folder of the original data files.
    """
    from fdl.runs.environment import made_with

    runs = []
    folder = [] if data_dir is None else [str(data_dir.resolve())]
    with tempfile.TemporaryDirectory() as cache:
        for seed in range(seeds):
            words = ["-m", "bench.speedrun", "once", str(seed), *folder]
            done = subprocess.run(
                [sys.executable, *words],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "FDL_CACHE_DIR": cache},
            )
            runs.append(json.loads(done.stdout))
            print(seed, runs[-1], flush=True)
    result = {
        **made_with(),
        "command": "fdl train mnist-fast --validation none",
        "accuracy": statistics.fmean(run["accuracy"] for run in runs),
        "runs": runs,
        "ablations": ablations(*folder),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        print(json.dumps(once(int(sys.argv[2]), *sys.argv[3:])))
    else:
        tyro.cli(main)
