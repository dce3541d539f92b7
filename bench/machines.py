"""Estimates of scaling to more machines: compute against communication.

    python -m bench.machines

Compiles a training step of some models for one device and for eight virtual devices
that shard the batch, and counts the collective operations in the compiled program and
their bytes. With the speed of the devices and of the links between them, this gives
the time of a step. Nothing is run, so any machine will do. Writes
bench/results/machines.json.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import fdl
from fdl.ops.rules import plain_forms
from fdl.runs.environment import made_from, versions
from fdl.sharding import batch_sharding, spread, state_sharding

RESULT = Path(__file__).parent / "results" / "machines.json"
DEVICES = 8  # the programs are compiled for these
EACH = 64  # examples on a device
EFFICIENCY = 0.9

# Bytes of an element, by XLA's names of types.
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s32": 4, "u32": 4, "f16": 2, "bf16": 2}
_BYTES |= {"f32": 4, "f64": 8, "s64": 8, "u64": 8}
_KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
_CALL = re.compile(rf"= (.*?) ({_KINDS})(?:-start)?\(")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


class Model(NamedTuple):
    """A model and its training.

    Attributes:
        title: Name in the table.
        make: Function that returns its learner and one example.
    """

    title: str
    make: Callable[[], tuple[fdl.Learner, Any]]


class Machines(NamedTuple):
    """Devices and the links between them.

    Attributes:
        title: Name in the table.
        count: Number of devices.
        rate: Operations per second that matrix products reach on a device.
        link: Bytes per second that a device sends while it receives as many.
        wait: Latency in seconds.
        source: Source of these numbers.
    """

    title: str
    count: int
    rate: float
    link: float
    wait: float
    source: str


def _images(model: Any, size: int, channels: int, classes: int) -> Any:
    learner = fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optax.sgd(0.1, momentum=0.9)
    )
    image = np.zeros((1, size, size, channels), np.float32)
    return learner, fdl.Batch(image, np.arange(1) % classes)


def _translator() -> Any:
    sizes: dict[str, Any] = {"num_layers": 6, "num_heads": 8}
    model = fdl.models.Transformer(
        32_000,
        fdl.nn.TransformerEncoder(**sizes),
        fdl.nn.TransformerDecoder(**sizes),
        512,
        source_vocab_size=32_000,
        pad_token=0,
    )
    learner = fdl.learners.sequence_to_sequence(model, optax.adam(1e-3))
    source = np.full((1, 64), 5, np.int32)
    target = np.full((1, 64), 5, np.int32)
    target[:, -1] = 2
    return learner, fdl.Pairs(source, target)


MODELS = {
    "cnn": Model(
        "CNN of the introduction", lambda: _images(fdl.models.CNN(10), 28, 1, 10)
    ),
    "resnet50": Model(
        "ResNet-50, 224 x 224", lambda: _images(fdl.models.ResNet50(1000), 224, 3, 1000)
    ),
    "translator": Model("Transformer (base), 64 tokens to 64", _translator),
}

_PRODUCT = "measured: bench/results/speed-gpu/cnn.json"
MACHINES = {
    "gpus": Machines(
        "8 NVIDIA H200, one machine",
        8,
        393.6e12,
        450e9,
        5e-6,
        f"rate {_PRODUCT}; link: NVLink 4, 900 GB/s in both directions together "
        "(NVIDIA's data sheet of the H200); wait: assumed",
    ),
    "pod": Machines(
        "16 TPU v5e, a slice of a pod",
        16,
        98.5e12,
        200e9,
        5e-6,
        "rate: half of 197 TFLOP/s, assumed; link: 400 GB/s in both directions "
        "together (docs.cloud.google.com/tpu/docs/v5e); wait: assumed",
    ),
    "cluster": Machines(
        "64 machines with one H200, 100 Gb/s Ethernet",
        64,
        393.6e12,
        12.5e9,
        50e-6,
        f"rate {_PRODUCT}; link: its name; wait: assumed",
    ),
}


def collectives(text: str) -> dict[str, dict[str, int]]:
    """Return number and bytes of the collective operations in a compiled program.

    Example:
        >>> collectives("%a = (f32[2,3]{1,0}, f32[]) all-reduce(%b, %c), to_apply=%add")
        {'all-reduce': {'count': 1, 'bytes': 28}}
    """
    found: dict[str, dict[str, int]] = {}
    for arrays, kind in _CALL.findall(text):
        one = found.setdefault(kind, {"count": 0, "bytes": 0})
        one["count"] += 1
        for dtype, shape in _ARRAY.findall(arrays):
            sizes = [int(size) for size in shape.split(",") if size]
            one["bytes"] += _BYTES[dtype] * math.prod(sizes)
    return found


def counted(model: Model) -> dict[str, Any]:
    """Count the operations and the communication of a training step of a model.

    Uses the implementations of accelerators, where convolutions are XLA's own.
    """
    with plain_forms():
        return _counted(model)


def _counted(model: Model) -> dict[str, Any]:
    learner, one = model.make()
    shapes = lambda tree: jax.eval_shape(lambda: tree)
    state = jax.eval_shape(learner.init, jax.random.key(0), one)
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((DEVICES, *x.shape[1:]), x.dtype), one
    )
    mesh = jax.make_mesh((DEVICES,), ("data",))
    told: dict[str, Any] = {}
    for shard in ("batch", "batch+state"):
        shared = spread(learner, mesh, shard)
        told[shard] = collectives(_compiled(shared, mesh, shard, state, batch))
    cost = jax.jit(learner.step).lower(shapes(state), batch).cost_analysis() or {}
    return {
        "title": model.title,
        "parameters": sum(math.prod(x.shape) for x in jax.tree.leaves(state.params)),
        "operations_per_example": cost["flops"] / DEVICES,
        "collectives": told,
    }


def _compiled(learner: Any, mesh: Any, shard: Any, state: Any, batch: Any) -> str:
    automatic = jax.sharding.Mesh(mesh.devices, mesh.axis_names)
    where = (
        state_sharding(automatic, shard, state),
        batch_sharding(automatic, batch),
    )
    step = jax.jit(learner.step, in_shardings=where, donate_argnums=0)
    return step.lower(state, batch).compile().as_text()


def seconds(
    machines: Machines, model: dict[str, Any], each: int
) -> tuple[float, float]:
    """Return the seconds of compute and of communication in a step.

    Args:
        machines: The devices.
        model: Result of `counted`.
        each: Examples per device.
    """
    computed = each * model["operations_per_example"] / machines.rate
    told = model["collectives"]["batch"].values()
    # A ring sends all bytes but those of one device twice; the latency is that of a
    # tree, up and down.
    share = 2 * (machines.count - 1) / machines.count
    sent = sum(one["bytes"] for one in told) * share / machines.link
    levels = 2 * math.log2(machines.count)
    waits = sum(one["count"] for one in told) * levels * machines.wait
    return computed, sent + waits


def enough(machines: Machines, model: dict[str, Any], efficiency: float) -> int:
    """Return the examples per device at which compute takes this share of the time."""
    one, told = seconds(machines, model, 1)
    return math.ceil(told * efficiency / (1 - efficiency) / one)


def table() -> str:
    """Return the table of estimates, from the result file."""
    found = json.loads(RESULT.read_text())
    rows = [
        "| machines | model | FLOPs per example | communication per update | compute, "
        f"{EACH} examples per device | communication | share of compute | examples per "
        f"device for {EFFICIENCY:.0%} |",
        "| --- " * 8 + "|",
    ]
    for said in found["machines"].values():
        machines = Machines(**said)
        for model in found["models"].values():
            told = model["collectives"]["batch"].values()
            count = sum(one["count"] for one in told)
            size = sum(one["bytes"] for one in told)
            computing, telling = seconds(machines, model, EACH)
            rows.append(
                f"| {machines.title} | {model['title']} "
                f"| {model['operations_per_example']:.2e} "
                f"| {size / 1e6:,.1f} MB in {count} "
                f"{'collectives' if count > 1 else 'collective'} "
                f"| {computing * 1e3:,.3g} ms | {telling * 1e3:,.3g} ms "
                f"| {computing / (computing + telling):.0%} "
                f"| {enough(machines, model, EFFICIENCY):,} |"
            )
    sources = [
        f"- {machines['title']}: {machines['source']}."
        for machines in found["machines"].values()
    ]
    return "\n".join([*rows, "", *sources])


def main() -> None:
    """Count, and write the result."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    models = {name: counted(model) for name, model in MODELS.items()}
    result = {
        "devices": DEVICES,
        "machines": {name: each._asdict() for name, each in MACHINES.items()},
        "models": models,
        "versions": versions(),
        **made_from(),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
