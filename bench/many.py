"""Members trained per second: `fit_many`, single runs, and a loop in Keras.

    python -m bench.many [CASES...] [--members 1 8 64 256] [--rounds 3]

Each member is trained for the same number of steps from its own seed, without
evaluation. `single` calls fdl's `fit` for one member after another with the same
learner, so it compiles once. `keras-jax` and `keras-tf` call Keras' `fit` with its
fastest setting (see `bench.speed.rows`) for one member after another, on a model that
is compiled once. With shared batches, all members see the same examples in the same
order (`shuffle_key`). All take turns in each round; the first round, which includes
compilation, is discarded. Whole calls are timed for fdl, only the steps for Keras. The
examples are random numbers. Writes bench/results/many.json.
"""

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro

import fdl
from bench.processes import Process
from bench.speed.cases import CASES, examples
from bench.speed.rivals.fdl_ import make
from bench.speed.rows import ROWS
from bench.speed.run import (
    ON_GPU,
    Trial,
    console,
    faster,
    machine,
    package_versions,
    settings,
    start_worker,
)
from fdl.learner import Learner
from fdl.runs.environment import made_from

RESULT = Path(__file__).parent / "results" / "many.json"


class Work(NamedTuple):
    """The training of each member.

    Attributes:
        steps: Number of training steps.
        gpu_steps: Number of training steps on a GPU.
        single: Number of members that a loop trains in each turn, which does not affect
            its rate.
        shared: Whether to measure members that share batches, too, which matters only
            if they are trained in parallel.
    """

    steps: int
    gpu_steps: int
    single: int
    shared: bool


WORK = {
    "mlp": Work(1000, 1000, 8, shared=True),
    "lstm": Work(25, 500, 8, shared=False),
    "cnn": Work(25, 500, 8, shared=False),
}
RIVALS = {"keras-jax": "keras-jax-tuned", "keras-tf": "keras-tf-tuned"}


def measure(case: str, members: list[int], rounds: int) -> dict[str, Any]:
    """Return members per second, for each method in each round."""
    work, about = WORK[case], CASES[case]
    steps = work.gpu_steps if ON_GPU else work.steps
    arrays = examples(about, steps * about.batch_size)
    data = jax.device_put(fdl.Batch(arrays["input"], arrays["label"]))
    _, learner = make(case)

    def make_learner(hparams: Any) -> Learner:
        return learner

    options: dict[str, Any] = {"epochs": 1, "batch_size": about.batch_size}

    def single() -> float:
        started = time.perf_counter()
        for seed in range(work.single):
            fdl.fit(learner, data, key=jax.random.key(seed), **options)
        return work.single / (time.perf_counter() - started)

    how: dict[str, Any] = {}
    shared = {"shuffle_key": jax.random.key(1)}

    def many(count: int, order: dict[str, Any] | None = None) -> float:
        keys = jax.random.split(jax.random.key(0), count)
        started = time.perf_counter()
        run = fdl.fit_many(
            make_learner, {}, data, keys=keys, **options, **(order or {})
        )
        seconds = time.perf_counter() - started
        how[str(count)] = {"strategy": run.strategy, "chunk": run.members_per_chunk}
        return count / seconds

    processes = {}
    ways: dict[str, Callable[[], float]] = {"single": single}
    for name, row in RIVALS.items():
        if importlib.util.find_spec(ROWS[row].package) is None:
            continue
        processes[name] = _fastest(row, case, steps)
        ways[name] = lambda name=name: 1 / processes[name].ask("once")["seconds"]
    ways |= {f"many {count}": lambda count=count: many(count) for count in members}
    ways |= {
        f"many {count}, shared batches": lambda count=count: many(count, shared)
        for count in members
        if work.shared and count > 1
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for turn in range(rounds + 1):
            for name, way in ways.items():
                rate = way()
                if turn:  # the first is to compile
                    rates[name].append(rate)
                    console.print(f"{case} {name}: {rate:.3g} members/s")
    finally:
        for process in processes.values():
            process.close()
    return {"steps": steps, "batch_size": about.batch_size, "how": how} | {
        "members_per_second": rates
    }


def _fastest(row: str, case: str, steps: int) -> Process:
    """Start a rival with its fastest setting, to train one member at a time."""
    best: Trial | None = None
    for setting in settings(row):
        process = start_worker(row, case, setting)
        process.ask("started")
        process.ask("train", CASES[case].batch_size, steps)
        trial = min(process.ask("once")["seconds"] for _ in range(2))
        best = faster(best, (trial, process, {}))
    assert best is not None
    return best[1]


def main(
    cases: tyro.conf.Positional[tuple[str, ...]] = tuple(WORK),
    *,
    members: tuple[int, ...] = (1, 8, 64, 256),
    rounds: int = 3,
    out: Path = RESULT,
) -> None:
    """Measure cases and write the result.

    Args:
        cases: Names of cases: mlp, lstm, cnn.
        members: Numbers of members.
        rounds: Number of measurements of each method, in turns.
        out: File for the result.
    """
    result: dict[str, Any] = {
        "machine": machine(),
        "versions": package_versions(),
        **made_from(),
        "cases": {},
    }
    for case in cases:
        result["cases"][case] = measure(case, list(members), rounds)
        rates = result["cases"][case]["members_per_second"]
        for name in rates:
            ratio = np.median(np.divide(rates[name], rates["single"]))
            console.print(f"{case} {name}: {ratio:.2f} of single")
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
