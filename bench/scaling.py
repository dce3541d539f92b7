"""Trainings on several devices, compared with one, for every task.

    python -m bench.scaling [TASKS...]

Each way of training (`WAYS`) is a process of its own, with as many devices as it has.
It makes the first updates of every task on the same random examples, full batches and
an uneven last one, and tells the loss of each. Compared with those of one device, they
may differ by rounding: by 1e-12 in float64, which proves that the same is computed, and
by 1e-5 in float32. Fails if one differs by more. Programs are compiled with few
optimizations, since they run briefly. Writes bench/results/scaling.json.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from fdl import tasks
from fdl.arrays import PyTree
from fdl.data import DatasetInfo, example
from fdl.data.dataset import SPECIAL
from fdl.learner import Learner
from fdl.metrics import compute
from fdl.plain import Kind
from fdl.runs.environment import made_with
from fdl.sharding import spread
from fdl.tasks.assemble import assemble
from fdl.train import program, run_steps
from fdl.train.placement import Placement

RESULT = Path(__file__).parent / "results" / "scaling.json"

BOUNDS = {"float64": 1e-12, "float32": 1e-5}
BATCH, LEFT = 16, 5  # a last batch of 5 can be shared by no number of devices
STEPS = 8  # updates: two epochs, the last batch of each uneven


class Way(NamedTuple):
    """A way of training.

    Attributes:
        devices: Number of devices of a process.
        shard: What they share; None to train without a mesh.
    """

    devices: int
    shard: Any = None


WAYS = {
    "1 device": Way(1),
    "8 devices, batch": Way(8, "batch"),
    "8 devices, batch and state": Way(8, "batch+state"),
}
"""The first is what the others are compared with."""

# What is special of each task, beside layers that treat each example by itself.
WORDS = {
    "lenet5": "convolutions",
    "cnn": "convolutions",
    "alexnet": "dropout",
    "vgg": "batch norm, dropout",
    "googlenet": "auxiliary losses, dropout",
    "resnet": "batch norm",
    "densenet": "batch norm",
    "mlp": "dropout",
    "regress": "regression",
    "mnist-fast": "convolutions",
    "rnn": "recurrent",
    "lstm": "recurrent",
    "gru": "recurrent",
    "autoencoder": "reconstruction",
    "vae": "latents drawn",
    "gan": "two models, batch norm, latents drawn",
    "transformer": "attention",
    "language-model": "causal attention",
    "music": "recurrent, padded, dropout",
    "textcnn": "padded, dropout, norms limited",
    "text-classifier": "padded, attention, dropout",
    "seq2seq": "recurrent, padded, dropout",
    "attention": "recurrent, padded, dropout",
    "translator": "padded, attention, dropout",
}


def described(kind: Kind) -> DatasetInfo:
    """Return what random examples of a kind are."""
    names = tuple(f"{n}" for n in range(10))
    words = (*SPECIAL, *names)
    info = DatasetInfo("random", kind, "", 10, names, (28, 28, 1), 53, 0, 0, "", ())
    if kind in ("vector", "number"):
        made = info._replace(input_shape=(12,), means=(0.0,) * 12)
        made = made._replace(deviations=(1.0,) * 12)
        if kind == "number":
            scale = {"means": (0.0,) * 13, "deviations": (1.0,) * 13}
            made = made._replace(num_classes=1, class_names=("y",), **scale)
        info = made
    elif kind == "text":
        info = info._replace(input_shape=(24,))
    elif kind == "document":
        info = info._replace(input_shape=(24,), vocabulary=words)
    elif kind == "pair":
        info = info._replace(
            input_shape=(12,),
            vocabulary=words,
            num_classes=len(words),
            class_names=words,
            target_length=10,
            units=("words", "words"),
            columns=("source", "target"),
        )
    elif kind == "music":
        keys = tuple(f"{n}" for n in range(88))
        info = info._replace(input_shape=(24, 88), num_classes=88, class_names=keys)
    return info._replace(kind=kind)


def drawn(info: DatasetInfo) -> PyTree:
    """Return random examples, sequences of unlike lengths that are padded."""
    rng, count = np.random.default_rng(0), 3 * BATCH + LEFT
    one = example(info)
    # Inputs of 8 bits become float32 in [0, 1], which would be all that is compared.
    rows = lambda x: rng.random((count, *x.shape[1:])).astype(
        np.float32 if x.dtype == np.uint8 else x.dtype
    )
    lengths = lambda time: np.arange(time) < rng.integers(3, time + 1, (count, 1))
    if info.kind in ("image", "vector"):
        labels = rng.integers(0, info.num_classes, count).astype(np.int32)
        return one._replace(image=rows(one.image), label=labels)
    if info.kind == "number":
        return one._replace(inputs=rows(one.inputs), targets=rows(one.targets))
    if info.kind == "music":
        shape = (count, *one.inputs.shape[1:])
        notes = [(rng.random(shape) < 0.1).astype(np.uint8) for _ in range(2)]
        return type(one)(*notes, lengths(shape[1]))
    words = max(info.num_classes, len(info.vocabulary))
    tokens = lambda x: rng.integers(4, words, (count, x.shape[1])).astype(np.int32)
    if info.kind == "text":
        return type(one)(tokens(one.token), tokens(one.target))
    padded = lambda x: tokens(x) * lengths(x.shape[1])
    if info.kind == "document":
        labels = rng.integers(0, info.num_classes, count).astype(np.int32)
        return one._replace(token=padded(one.token), label=labels)
    return type(one)(padded(one.source), padded(one.target))


def learner_of(name: str) -> tuple[Learner, PyTree]:
    """Return the learner of a task, as it is by default, and random examples."""
    task = tasks.find(name)
    info = described(task.takes[0])
    config = task.config(dataset=task.dataset or "mnist", batch_size=BATCH)
    return assemble(task, config, info), drawn(info)


def metrics_by_step(
    learner: Learner, data: PyTree, placement: Placement, precision: str
) -> dict[str, list[float]]:
    """Return the metrics of each of the first updates.

    The program is that of `fit`, called for one update at a time.
    """
    with in_precision(precision):
        to = lambda tree: jax.tree.map(lambda x: _in_precision(x, precision), tree)
        data = to(data)
        one = jax.tree.map(lambda x: x[:1], data)
        state = placement.state(to(learner.init(jax.random.key(0), one)))
        data = placement.data(data)
        if placement.mesh is not None:
            learner = spread(learner, placement.mesh, placement.shard)
        count = len(jax.tree.leaves(data)[0])
        found: dict[str, list[float]] = {}
        for order, first, size in batches(count):
            batch = jax.tree.map(lambda x, n=size: x[:n], data)
            _, shapes = jax.eval_shape(learner.step, state, batch)
            zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
            steps = program(run_steps, learner.step, size, donate=(4, 5))
            state, sums, bad = steps(
                data, order, first, 1, state, placement.sums(zeros)
            )
            if bad >= 0:
                raise ArithmeticError("a metric is not finite")
            for metric, value in compute(sums).items():
                found.setdefault(metric, []).append(float(value))
    return found


def batches(count: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield an order, the place of a batch in it and its size."""
    made = 0
    for epoch in range(STEPS):
        order = np.random.default_rng(epoch).permutation(count).astype(np.int32)
        for first in range(0, count, BATCH):
            if made < STEPS:
                yield order, first, min(BATCH, count - first)
            made += 1


@contextlib.contextmanager
def in_precision(precision: str) -> Iterator[None]:
    """Compute in a precision, to all of its digits."""
    with (
        jax.enable_x64(precision == "float64"),
        jax.default_matmul_precision("highest"),
    ):
        yield


def _in_precision(x: Any, precision: str) -> Any:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return x.astype(precision)


def differences(
    found: dict[str, list[float]], wanted: dict[str, list[float]]
) -> dict[str, float]:
    """Return the largest relative difference of each loss at any step."""
    return {
        name: max(abs(a / b - 1) for a, b in zip(found[name], values, strict=True))
        for name, values in wanted.items()
        if "loss" in name
    }


def measure(way: str, names: Sequence[str]) -> None:
    """Print the metrics of each task's updates as lines of JSON."""
    jax.config.update("jax_disable_most_optimizations", True)
    devices, shard = WAYS[way]
    placement = Placement()
    if shard is not None:
        mesh = jax.sharding.Mesh(jax.devices(), ("data",))
        placement = Placement(mesh, shard)
    if len(jax.devices()) != devices:
        raise RuntimeError(f"there are {len(jax.devices())} devices, not {devices}")
    for name in names:
        learner, data = learner_of(name)
        for precision in BOUNDS:
            found = metrics_by_step(learner, data, placement, precision)
            line = {"task": name, "precision": precision, "metrics": found}
            print(json.dumps(line), flush=True)
        jax.clear_caches()


def ask(way: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the metrics by task and precision, measured in another process."""
    flags = f"--xla_force_host_platform_device_count={WAYS[way].devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "bench.scaling", *names, "--way", way]
    found: dict[str, dict[str, Any]] = {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            one = json.loads(line)
            print(way, one["task"], one["precision"], file=sys.stderr)
            found.setdefault(one["task"], {})[one["precision"]] = one["metrics"]
    if process.returncode:
        raise RuntimeError(f"{way} failed: see above.")
    return found


def main(
    names: tyro.conf.Positional[tuple[str, ...]] = (), *, way: str | None = None
) -> None:
    """Compare all ways, print the largest differences, and write the result.

    Args:
        names: Names of tasks; all by default. What others had stays.
        way: Train in this way only, and print what it gives.
    """
    if way is not None:
        return measure(way, names)
    names = names or tuple(WORDS)
    rows = json.loads(RESULT.read_text())["tasks"] if RESULT.exists() else {}
    first, *others = WAYS
    wanted = ask(first, names)
    compared = {other: ask(other, names) for other in others}
    wrong = []
    for name in names:
        rows[name] = {}
        for other, found in compared.items():
            row = rows[name][other] = {
                precision: differences(found[name][precision], metrics)
                for precision, metrics in wanted[name].items()
            }
            largest = {each: max(row[each].values()) for each in BOUNDS}
            print(name, other, largest)
            wrong += [
                f"{name}, {other}: {largest[each]} in {each}"
                for each in BOUNDS
                if not largest[each] <= BOUNDS[each]
            ]
    result = {
        "steps": STEPS,
        "batch_size": BATCH,
        "last_batch": LEFT,
        "tasks": {name: rows[name] for name in WORDS if name in rows},
        **made_with(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    tyro.cli(main)
