"""Speed and memory of training on data larger than memory.

    python -m bench.streams

Trains the CNN on images like those of MNIST, in memory and stored in `.npy` files, in
turns in one process. Then trains in separate processes on stored data of 1, 5 and 20
times the memory budget, and records the peak memory of each process. Writes
bench/results/streams.json.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

RESULT = Path(__file__).parent / "results" / "streams.json"
ROUNDS, EXAMPLES, BATCH = 5, 25_600, 64
BUDGET = 2**26  # bytes of memory for stored examples
TIMES = (1, 5, 20)


def write(folder: Path, count: int) -> None:
    """Write random images and classes in chunks."""
    rng = np.random.default_rng(0)
    image = np.lib.format.open_memmap(
        folder / "image.npy", "w+", np.uint8, (count, 28, 28, 1)
    )
    for first in range(0, count, 10_000):
        part = image[first : first + 10_000]
        part[:] = rng.integers(0, 256, part.shape, np.uint8)
    image.flush()
    np.save(folder / "label.npy", rng.integers(0, 10, count).astype(np.int32))


def opened(folder: Path) -> Any:
    """Return the files as a batch."""
    import fdl

    return fdl.Batch(
        *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("image", "label"))
    )


def learner(name: str) -> Any:
    """Return a learner of the CNN, or of a model so small that fetching dominates."""
    import optax

    import fdl

    model = {"cnn": fdl.models.CNN(10), "linear": fdl.models.MLP(10, hidden_sizes=())}
    return fdl.learners.supervised(
        model[name], fdl.losses.cross_entropy, optax.adam(1e-3)
    )


def speed(folder: Path) -> dict[str, Any]:
    """Return the seconds of an epoch in memory and from files, measured in turns."""
    import jax

    import fdl

    data = opened(folder)
    kinds = {
        "in memory": jax.device_put(jax.tree.map(np.array, data)),
        "stored": fdl.data.stored(data),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    of_processor: dict[str, list[float]] = {name: [] for name in kinds}
    states = {}
    for place in range(2 * (ROUNDS + 1)):
        # The order alternates.
        name = list(kinds)[(place + place // 2) % 2]
        started = time.process_time()
        run = fdl.fit(
            learner("cnn"),
            kinds[name],
            epochs=1,
            batch_size=BATCH,
            key=0,
            stream_bytes=BUDGET // 4,
        )
        states[name] = jax.device_get(run.state.params)
        if place >= 2:  # the first of each includes compilation
            seconds[name].append(round(run.seconds["train"], 4))
            of_processor[name].append(round(time.process_time() - started, 4))
    same = jax.tree.map(np.array_equal, *states.values())
    return {
        "examples": EXAMPLES,
        "chunks": "as if the memory were a quarter, so that there are several",
        "seconds": seconds,
        "processor seconds": of_processor,
        "speed of stored by that in memory": ratios(seconds),
        "by processor seconds": ratios(of_processor),
        "same parameters": bool(jax.tree.all(same)),
    }


def ratios(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the first's time over the second's: each turn, and the median."""
    each = [a / b for a, b in zip(*seconds.values(), strict=True)]
    return {
        "median": round(statistics.median(each), 3),
        "each": [round(ratio, 3) for ratio in each],
    }


def peak(folder: str, name: str) -> None:
    """Train for an epoch in this process, and print its peak memory as JSON."""
    import fdl

    data = opened(Path(folder))
    options = {"epochs": 1, "batch_size": BATCH, "key": 0, "stream_bytes": BUDGET}
    small = fdl.data.stored(fdl.Batch(data.image[:BATCH], data.label[:BATCH]))
    fdl.fit(learner(name), small, **options)
    before = most_mebibytes()
    run = fdl.fit(learner(name), fdl.data.stored(data), **options)
    said = {
        "bytes": data.image.nbytes + data.label.nbytes,
        "examples": len(data.label),
        "peak MiB before": before,
        "peak MiB": most_mebibytes(),
        "seconds": round(run.seconds["train"], 1),
    }
    print(json.dumps(said))


def most_mebibytes() -> int:
    """Return the peak memory of this process; Linux only.

    `getrusage` would include the peak of the parent process.
    """
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) // 1024


def table(found: dict[str, Any]) -> str:
    """Return the results as a table."""
    rows = ["| measurement | median or peak | range |", "| --- | --- | --- |"]
    each = found["speed"]["speed of stored by that in memory"]["each"]
    rows.append(
        "| time of an epoch of the CNN with data in memory, over that with stored data "
        f"| {statistics.median(each):.2f} "
        f"| {min(each):.2f} - {max(each):.2f}, {len(each)} turns |"
    )
    for one in found["memory"]:
        rows.append(
            f"| peak memory of training on {one['bytes'] >> 20:,} MiB of "
            f"{one['examples']:,} images, {one['times']} times `stream_bytes` "
            f"| {one['peak MiB']} MiB | {one['peak MiB before']} MiB before |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure, print and write."""
    from fdl.runs.environment import made_with

    result: dict[str, Any] = {
        "command": "python -m bench.streams",
        **made_with(),
        "budget": BUDGET,
        "memory": [],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, EXAMPLES)
        result["speed"] = speed(folder)
        for name in ("speed of stored by that in memory", "by processor seconds"):
            print(name, json.dumps(result["speed"][name]))
    for times in TIMES:
        with tempfile.TemporaryDirectory() as name:
            write(Path(name), times * BUDGET // (28 * 28 + 4))
            ran = subprocess.run(
                [sys.executable, "-m", "bench.streams", name, "linear"],
                capture_output=True,
                text=True,
                check=True,
            )
            result["memory"].append({"times": times, **json.loads(ran.stdout)})
            print(result["memory"][-1])
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    peak(*sys.argv[1:]) if len(sys.argv) > 1 else main()
