"""Trainings that are killed at random moments end as if nothing had happened.

    python -m bench.kills [--moments 20] [--kinds mlp gan ...]

Each kind is trained once to the end; then again and again, each time killed by SIGKILL,
SIGTERM or SIGINT at a moment drawn at random, and resumed. The folders that are left
have to be the same, bit for bit: weights, optimizer and everything else in the state,
history, and result, but for times. The result is bench/results/kills.json.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro

from fdl.runs import RunFolder
from fdl.runs.environment import made_with
from fdl.runs.run import read

_RESULTS = Path(__file__).parent / "results" / "kills.json"
_TIMES = ("seconds", "steps_per_second")

# A shell's jobs in the background begin with SIGINT ignored.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from fdl.cli import main; main()"
)

# Within an epoch, a checkpoint as often as can be: there is much to be caught at.
_OFTEN = ("--checkpoint-minutes", "0.002")
_IMAGES = ("--dataset", "npz:images.npz", "--batch-size", "20", "--epochs", "3")
_TEXT = ("--dataset", "text:text.txt", "--batch-size", "4", "--epochs", "3")
KINDS = {
    "mlp": ("mlp", *_IMAGES, "--early-stopping", "2"),
    "gan": ("gan", *_IMAGES, "--architecture", "dense"),
    "vae": ("vae", *_IMAGES, "--samples", "5"),
    "language-model": (
        *("language-model", *_TEXT),
        *("--features", "16", "--num-layers", "1", "--num-heads", "2"),
    ),
}
"""What is trained: words after `fdl train`."""


class Killed(NamedTuple):
    """A training that was killed, and resumed.

    Attributes:
        signal: What killed it.
        code: What it exited with.
        said: Its last line.
        ended: Whether it had a result by then: the signal came too late.
        step: Updates in its newest checkpoint then; None if it had none.
        same: Whether it ended like one that was never killed.
    """

    signal: str
    code: int
    said: str
    ended: bool
    step: int | None
    same: bool


def train_whole(kind: str, folder: Path) -> tuple[dict[str, Any], float]:
    """Train to the end; return what is left, and how long that took after the start."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (340, 28, 28), np.uint8)
    labels = np.arange(340) % 10
    np.savez(
        folder / "images.npz",
        **{"x_train": images[:240], "y_train": labels[:240]},
        **{"x_test": images[240:], "y_test": labels[240:]},
    )
    (folder / "text.txt").write_text("The quick brown fox jumps over the dog. " * 100)
    process = _start(folder, *KINDS[kind], "--run", "whole", *_OFTEN)
    _wait_for(folder / "whole" / "config.json", process)
    begun = time.monotonic()
    if process.wait() != 0:
        sys.exit(f"{kind} failed: {_last_line(folder)}")
    return fingerprint(folder / "whole"), time.monotonic() - begun


def kill_and_resume(
    kind: str,
    folder: Path,
    number: int,
    *,
    after: float,
    whole: dict[str, Any],
    name: str = "killed",
) -> Killed:
    """Train, kill, resume, compare.

    Args:
        kind: What is trained.
        folder: Where.
        number: The signal that kills it.
        after: Seconds after its folder is there.
        whole: What a training that is not killed leaves.
        name: Of the run's folder.
    """
    path = folder / name
    process = _start(folder, *KINDS[kind], "--run", name, *_OFTEN)
    _wait_for(path / "config.json", process)
    time.sleep(after)
    process.send_signal(number)
    code, said = process.wait(), _last_line(folder)
    found = RunFolder(path).checkpoints.found()
    step = int(found[-1].name) if found else None
    ended = (path / "result.json").is_file()
    same = True
    if not ended:
        resumed = _start(folder, "--resume", name, *_OFTEN)
        same = resumed.wait() == 0
        said = said if same else _last_line(folder)
    same = same and fingerprint(path) == whole
    return Killed(signal.Signals(number).name, code, said, ended, step, same)


def fingerprint(path: Path) -> dict[str, Any]:
    """Return what a run left, without times."""
    folder = RunFolder.open(path)
    _, trained, _ = read(folder)
    state = folder.checkpoints.restore(None, trained.state)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key))):
        digest.update(np.asarray(leaf).tobytes())
    result = folder.result() or {}
    return {
        "weights": hashlib.sha256(folder.weights.read_bytes()).hexdigest(),
        "state": digest.hexdigest(),
        "history": [
            json.loads(line) | {"seconds": None}
            for line in (path / "metrics.jsonl").read_text().splitlines()
        ],
        "result": {k: v for k, v in result.items() if k not in _TIMES},
        "files": sorted(
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if "checkpoints" not in file.parts
        ),
    }


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "train", *words],
            cwd=folder,
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
    return process


def _last_line(folder: Path) -> str:
    lines = (folder / "said.txt").read_text(errors="replace").splitlines()
    return lines[-1] if lines else ""


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    while not file.is_file():
        if process.poll() is not None:
            sys.exit(f"it did not begin: {_last_line(file.parents[1])}")
        time.sleep(0.01)


def main(
    kinds: tuple[str, ...] = tuple(KINDS), *, moments: int = 20, seed: int = 0
) -> None:
    """Kill trainings of each kind, and write how they ended.

    Args:
        kinds: What is trained.
        moments: How often each kind is killed.
        seed: Of the moments.
    """
    draw, table = random.Random(seed), {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as place:
            whole, seconds = train_whole(kind, Path(place))
            killed = [
                kill_and_resume(
                    kind,
                    Path(place),
                    draw.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
                    after=draw.uniform(0, seconds),
                    whole=whole,
                    name=f"killed-{i}",
                )
                for i in range(moments)
            ]
        table[kind] = {
            "moments": moments,
            "same": sum(one.same for one in killed),
            "signals": Counter(one.signal for one in killed),
            "exit codes": Counter(str(one.code) for one in killed),
            "steps when killed": [one.step for one in killed],
        }
        print(kind, json.dumps(table[kind]), flush=True)
    _RESULTS.write_text(
        json.dumps({"kinds": table, "seed": seed, **made_with()}, indent=2) + "\n"
    )


if __name__ == "__main__":
    tyro.cli(main)
