"""Training of every task on several devices, compared with one device.

    python -m bench.scaling [TASKS...]

Each setup (`WAYS`) runs in its own processes, with its number of devices. It makes the
first updates of every task on the same random examples, full batches and a smaller last
one, and reports the loss of each. The losses may differ from those of one device only
by rounding: by 1e-12 in float64, which proves that both compute the same, and by 1e-5
in float32. Fails if one differs by more. Programs are compiled with few optimizations,
since they run briefly. Writes bench/results/scaling.json.
"""

import contextlib
import dataclasses
import json
import os
import socket
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
from fdl.processes import joined
from fdl.runs.environment import made_with
from fdl.sharding import spread
from fdl.tasks.assemble import assemble
from fdl.train import program, run_steps
from fdl.train.placement import Placement

RESULT = Path(__file__).parent / "results" / "scaling.json"

BOUNDS = {"float64": 1e-12, "float32": 1e-5}
BATCH, LEFT = 16, 5  # a last batch of 5 cannot be sharded over 4 or 8 devices
STEPS = 8  # updates: two epochs, each with a smaller last batch
TOGETHER = 6  # tasks measured by one process


class Way(NamedTuple):
    """A setup of devices.

    Attributes:
        devices: Number of devices of a process.
        shard: Values that are sharded, as in `fdl.fit`; None to train without a mesh.
        processes: Number of processes that train together.
    """

    devices: int
    shard: Any = None
    processes: int = 1


WAYS = {
    "1 device": Way(1),
    "8 devices, batch": Way(8, "batch"),
    "8 devices, batch and state": Way(8, "batch+state"),
    "2 processes of 4, batch": Way(4, "batch", processes=2),
}
"""The first is the reference of the others."""


class Case(NamedTuple):
    """A task at a small size: narrow layers prove the same as wide ones.

    Attributes:
        words: Its parts that might depend on how a batch is sharded.
        side: Height and width of its images, if it takes images.
        options: Options that are not the defaults.
    """

    words: str
    side: int = 14
    options: Any = {}  # noqa: RUF012 - never changed


_RECURRENT = {"hidden_size": 16}
_CODER = {"hidden_sizes": (32, 32), "latent_size": 4}
_ATTENTION = {"num_layers": 1, "num_heads": 2}
_TEXT = {"features": 16, **_ATTENTION}

CASES = {
    "mlp": Case("dropout"),
    "cnn": Case("convolution", 18, {"features": (8, 8, 8), "hidden_size": 16}),
    "lenet5": Case("convolution", 28),
    "alexnet": Case(
        "local response, dropout", 16, {"widths": (8,) * 5, "hidden_size": 16}
    ),
    "vgg": Case(
        "batch norm, dropout",
        16,
        {"block_sizes": (1, 1), "widths": (8, 8), "hidden_sizes": (16,)},
    ),
    "googlenet": Case("auxiliary losses, dropout", 20),
    "resnet": Case("batch norm", 8, {"width": 8}),
    # At 8 pixels the last maps are single pixels: a ReLU of 16 that rounding flips
    # changes gradients visibly.
    "densenet": Case("batch norm", 16, {"depth": 10, "growth_rate": 4}),
    "mnist-fast": Case("convolution", 12),
    "regress": Case("regression"),
    "rnn": Case("recurrent", options=_RECURRENT),
    "lstm": Case("recurrent", options=_RECURRENT),
    "gru": Case("recurrent", options=_RECURRENT),
    "transformer": Case("attention", options={"features": 16, **_ATTENTION}),
    "autoencoder": Case("reconstruction", options=_CODER),
    "vae": Case("random latents", options=_CODER),
    "gan": Case("two models, batch norm, random latents", 8, {"width": 4}),
    "language-model": Case("causal attention", options=_TEXT),
    "music": Case("recurrent, padded, dropout", options=_RECURRENT),
    "textcnn": Case("padded, dropout, norm constraints", options={"maps": 8}),
    "text-classifier": Case("padded, attention, dropout", options=_TEXT),
    "seq2seq": Case("recurrent, padded, dropout", options=_RECURRENT),
    "attention": Case("recurrent, padded, dropout", options=_RECURRENT),
    "translator": Case("padded, attention, dropout", options=_TEXT),
}


def described(kind: Kind, side: int) -> DatasetInfo:
    """Describe random examples of a kind."""
    names = tuple(f"{n}" for n in range(10))
    words = (*SPECIAL, *names)
    shape = (side, side, 1)
    info = DatasetInfo("random", kind, "", 10, names, shape, 53, 0, 0, "", ())
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
    """Return random examples; sequences have different lengths and are padded."""
    rng, count = np.random.default_rng(0), 3 * BATCH + LEFT
    one = example(info)
    # 8-bit inputs would become float32 in [0, 1], also in the comparison in float64.
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
    """Return the learner of a task, and random examples."""
    task, case = tasks.find(name), CASES[name]
    info = described(task.takes[0], case.side)
    options = dataclasses.replace(task.options, **case.options)
    given = {"dataset": task.dataset or "mnist", "batch_size": BATCH}
    config = task.config(**given, options=options)
    return assemble(task, config, info), drawn(info)


def metrics_by_step(
    learner: Learner, data: PyTree, placement: Placement, precision: str
) -> dict[str, list[float]]:
    """Return the metrics of each of the first updates.

    The program is that of `fit`, called for one update at a time.
    """
    with jax.default_matmul_precision("highest"):
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
    """Yield an order, the position of a batch in it, and its size."""
    made = 0
    for epoch in range(STEPS):
        order = np.random.default_rng(epoch).permutation(count).astype(np.int32)
        for first in range(0, count, BATCH):
            if made < STEPS:
                yield order, first, min(BATCH, count - first)
            made += 1


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


def measure(way: str, precision: str, names: Sequence[str]) -> None:
    """Print the metrics of each task's updates as lines of JSON."""
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_enable_x64", precision == "float64")
    devices, shard, processes = WAYS[way]
    placement = Placement()
    if shard is not None:
        mesh = jax.sharding.Mesh(jax.devices(), ("data",))
        placement = Placement(mesh, shard)
    if len(jax.devices()) != devices * processes:
        raise RuntimeError(
            f"{way} needs {devices * processes} devices, not {len(jax.devices())}."
        )
    for name in names:
        found = metrics_by_step(*learner_of(name), placement, precision)
        print(json.dumps({"task": name, "metrics": found}), flush=True)
        jax.clear_caches()


def ask(way: str, precision: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the metrics by task, measured in another process."""
    flags = f"--xla_force_host_platform_device_count={WAYS[way].devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    options = ["--way", way, "--precision", precision]
    command = [sys.executable, "-m", "bench.scaling", *names, *options]
    if WAYS[way].processes > 1:
        command += ["--coordinator", f"127.0.0.1:{_free_port()}"]
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, "--process", f"{process}"],
                    env=environment,
                    stdout=subprocess.PIPE if process == 0 else subprocess.DEVNULL,
                )
            )
            for process in range(WAYS[way].processes)
        ]
        for line in started[0].stdout or ():
            one = json.loads(line)
            print(way, precision, one["task"], file=sys.stderr)
            found[one["task"]] = one["metrics"]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{way} failed: see the output above.")
    return found


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def compare(names: Sequence[str]) -> dict[str, Any]:
    """Return the largest differences of tasks, by way and precision."""
    first, *others = WAYS
    rows: dict[str, Any] = {name: {other: {} for other in others} for name in names}
    for precision in BOUNDS:
        wanted = ask(first, precision, names)
        for other in others:
            found = ask(other, precision, names)
            for name in names:
                row = rows[name][other]
                row[precision] = differences(found[name], wanted[name])
                print(name, other, precision, row[precision], flush=True)
    return rows


def main(
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    way: str | None = None,
    precision: str | None = None,
    coordinator: str | None = None,
    process: int = 0,
) -> None:
    """Compare all ways, print the largest differences, and write the results.

    Args:
        names: Names of tasks; all by default. Results of other tasks are kept.
        way: Train only in this setup, and print its metrics.
        precision: Precision of this setup.
        coordinator: Address of the coordinator, if there are several processes.
        process: Index of this process.
    """
    if way is not None and precision is not None:
        join = contextlib.nullcontext()
        if coordinator is not None:
            join = joined(coordinator, WAYS[way].processes, process)
        with join:
            return measure(way, precision, names)
    rows = json.loads(RESULT.read_text())["tasks"] if RESULT.exists() else {}
    names = names or tuple(CASES)
    wrong = []
    for first in range(0, len(names), TOGETHER):
        group = names[first : first + TOGETHER]
        rows |= (compared := compare(group))
        wrong += [
            f"{name}, {way}: {found} in {precision}"
            for name, row in compared.items()
            for way, cell in row.items()
            for precision, found in cell.items()
            if not max(found.values()) <= BOUNDS[precision]
        ]
        result = {
            "steps": STEPS,
            "batch_size": BATCH,
            "last_batch": LEFT,
            "tasks": {name: rows[name] for name in CASES if name in rows},
            **made_with(),
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    tyro.cli(main)
