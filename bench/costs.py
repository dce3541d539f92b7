"""Overhead of fdl: the loop inside `fit`, `import fdl`, and commands without JAX.

    python -m bench.costs

Compares a training step inside `fit` with the same step compiled separately and called
from Python, and `import jax, fdl` with `import jax`. Both sides are measured in turns
in the same run, since machines may be shared. Steps use all training images of
mnist-5k; nothing is evaluated. For commands that do not import JAX, measures processor
time. Writes bench/results/costs.json.
"""

import functools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import fdl
from fdl.runs.environment import made_with
from fdl.tasks import find
from fdl.train import program, run_steps

RESULT = Path(__file__).parent / "results" / "costs.json"
ROUNDS, STEPS = 15, 60


def step_times(task_name: str) -> dict[str, list[float]]:
    """Return the milliseconds of a step alone and in the loop, one pair per round."""
    task = find(task_name)
    config = task.config(dataset="mnist-5k")
    dataset = fdl.data.load("mnist-5k", validation=None)
    learner = task.learn(
        task.make_model(config.options, dataset.info), config, dataset.info
    )
    data = jax.device_put(dataset.train)
    size = config.batch_size
    order = jnp.arange(STEPS * size)
    batches = [
        jax.tree.map(lambda x, i=i: x[i * size : (i + 1) * size], data)
        for i in range(STEPS)
    ]
    init = jax.jit(learner.init)
    step = jax.jit(learner.step, donate_argnums=0)
    steps = program(run_steps, learner.step, size, donate=(4, 5))
    zeros = lambda: jax.tree.map(
        jnp.zeros_like, jax.eval_shape(learner.step, state(), batches[0])[1]
    )
    state = lambda: jax.block_until_ready(init(jax.random.key(0), data))

    def alone() -> float:
        now = state()
        started = time.perf_counter()
        for batch in batches:
            now, _ = step(now, batch)
        jax.block_until_ready(now)
        return (time.perf_counter() - started) / STEPS * 1e3

    def inside() -> float:
        now, totals = state(), zeros()
        started = time.perf_counter()
        jax.block_until_ready(steps(data, order, 0, STEPS, now, totals))
        return (time.perf_counter() - started) / STEPS * 1e3

    return in_turns({"alone": alone, "inside": inside})


def import_times() -> dict[str, list[float]]:
    """Return the seconds to import JAX, alone and with fdl, one pair per round.

    fdl imports a name when it is first used, so the program uses the names of a typical
    training script.
    """
    every = (
        "import jax, fdl; fdl.data.load, fdl.fit, fdl.keras.adam, fdl.models.CNN, "
        "fdl.learners.supervised, fdl.losses.cross_entropy"
    )

    def of(words: str) -> float:
        program = f"import time; t = time.time(); {words}; print(time.time() - t)"
        done = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    return in_turns({"jax": lambda: of("import jax"), "jax, fdl": lambda: of(every)})


def answer_times() -> dict[str, list[float]]:
    """Return the processor seconds of commands without JAX, in each round."""

    def of(words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        program = [sys.executable, "-m", "fdl", *words.split()]
        subprocess.run(program, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    commands = ("--help", "--version", "train cnn --help", "tasks")
    return in_turns({f"fdl {one}": functools.partial(of, one) for one in commands})


def in_turns(runs: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure A, B, A, B, ... and discard the first round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, run in runs.items():
            found = run()
            if turn:
                times[name].append(round(found, 4))
    return times


def main() -> None:
    """Measure, print and write the results."""
    result = made_with()
    for name in ("cnn", "mlp"):
        times = step_times(name)
        ratios = np.divide(times["inside"], times["alone"])
        result[name] = {"milliseconds": times, "ratio": quartiles(ratios)}
    times = import_times()
    extra = np.subtract(times["jax, fdl"], times["jax"])
    result["import"] = {"seconds": times, "extra": quartiles(extra)}
    times = answer_times()
    result["answers"] = {
        "seconds": times,
        "quartiles": {name: quartiles(np.array(each)) for name, each in times.items()},
    }
    print("answers", result["answers"]["quartiles"])
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for name, measure in (("cnn", "ratio"), ("mlp", "ratio"), ("import", "extra")):
        print(name, measure, result[name][measure])


def quartiles(values: np.ndarray) -> list[float]:
    """Return first quartile, median and third quartile."""
    return [round(q, 3) for q in statistics.quantiles(values.tolist(), n=4)]


if __name__ == "__main__":
    main()
