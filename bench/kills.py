"""Trainings and sweeps that are killed at random moments end like any other.

    python -m bench.kills [--moments 20] [--kinds mlp gan ...]

Each kind is trained once to the end; then again and again, each time by a process that
is killed by SIGKILL, SIGTERM or SIGINT at a moment drawn at random, and resumed by this
one. The folders that are left have to be the same, bit for bit: weights, optimizer and
everything else in the state, history, and result, but for times; of a sweep, the table
of all members, the best one and the result. Results are bench/results/kills.json.
"""

import contextlib
import hashlib
import io
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

from fdl.cli import main as main_of_fdl
from fdl.runs import RunFolder
from fdl.runs.environment import made_with
from fdl.runs.lock import HOLDER, LOCK
from fdl.runs.part import part_files, read_part
from fdl.runs.run import read

_RESULTS = Path(__file__).parent / "results" / "kills.json"
_QUICKLY = "JAX_DISABLE_MOST_OPTIMIZATIONS"
_TIMES = ("seconds", "steps_per_second", "history_sha256", "sha256")

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
    "mlp": ("train", "mlp", *_IMAGES, "--early-stopping", "2", *_OFTEN),
    "gan": ("train", "gan", *_IMAGES, "--architecture", "dense", *_OFTEN),
    "vae": ("train", "vae", *_IMAGES, "--samples", "5", *_OFTEN),
    "language-model": (
        *("train", "language-model", *_TEXT, *_OFTEN),
        *("--features", "16", "--num-layers", "1", "--num-heads", "2"),
    ),
    "sweep": (
        *("sweep", "mlp", *_IMAGES, "--hidden-sizes", "16", "--seeds", "2"),
        *("--random", "learning-rate=log:1e-3:1e-1", "--samples", "2"),
        *("--members-per-chunk", "2"),
    ),
}
"""What is trained: words after `fdl`."""


class Killed(NamedTuple):
    """A training or a sweep that was killed, and resumed.

    Attributes:
        signal: What killed it.
        code: What it exited with.
        said: Its last line.
        ended: Whether it had a result by then: the signal came too late.
        made: Updates in its newest checkpoint by then, 0 if it had none; of a sweep,
            epochs of its members.
        same: Whether it ended like one that was never killed.
    """

    signal: str
    code: int
    said: str
    ended: bool
    made: int
    same: bool


def train_whole(
    kind: str, folder: Path, name: str = "whole"
) -> tuple[dict[str, Any], float]:
    """Train to the end; return what is left, and how long that took after the start.

    It is trained by this process, which need not start: to those that are killed it is
    another one.
    """
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (340, 28, 28), np.uint8)
    labels = np.arange(340) % 10
    np.savez(
        folder / "images.npz",
        **{"x_train": images[:240], "y_train": labels[:240]},
        **{"x_test": images[240:], "y_test": labels[240:]},
    )
    (folder / "text.txt").write_text("The quick brown fox jumps over the dog. " * 100)
    code, said = _run(folder, *KINDS[kind], "--run", name)
    seconds = time.time() - (folder / name / "config.json").stat().st_mtime
    if code != 0:
        sys.exit(f"{kind} failed: {said}")
    return fingerprint(folder / name), seconds


def kill_and_resume(
    kind: str,
    folder: Path,
    number: int,
    *,
    after: float,
    whole: dict[str, Any],
    name: str = "killed",
    once: str = "config.json",
) -> Killed:
    """Train, kill, resume, compare.

    Args:
        kind: What is trained.
        folder: Where.
        number: The signal that kills it.
        after: Seconds after `once` is there.
        whole: What a training that is not killed leaves.
        name: Of the run's folder.
        once: A pattern of files in it.
    """
    path = folder / name
    process = _start(folder, *KINDS[kind], "--run", name)
    _wait_for(path, once, process)
    time.sleep(after)
    process.send_signal(number)
    code, said = process.wait(), _last_line(folder)
    made = _made(path)
    ended = (path / "result.json").is_file()
    same = True
    if not ended or kind == "sweep":  # which draws pictures after its result
        words = ["sweep", "--run"] if kind == "sweep" else ["train", "--resume"]
        resumed, last = _run(folder, *words, name)
        same, said = resumed == 0, said if resumed == 0 else last
    same = same and fingerprint(path) == whole
    return Killed(signal.Signals(number).name, code, said, ended, made, same)


def _made(path: Path) -> int:
    parts = part_files(path / "parts").values()
    found = RunFolder(path).checkpoints.found()
    if parts:
        return sum(len(read_part(files[0]).rows) for files in parts)
    return int(found[-1].name) if found else 0


def _run(folder: Path, *words: str) -> tuple[int, str]:
    """Run in this process; return what a process would exit with, and say at last."""
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        try:
            main_of_fdl(list(words))
        except SystemExit as exit:
            lines = said.getvalue().splitlines()
            return int(exit.code or 0), lines[-1] if lines else ""
    return 0, ""


def fingerprint(path: Path) -> dict[str, Any]:
    """Return what a run or a sweep left, without times."""
    if (path / "members.csv").is_file():
        best = fingerprint(path / "best")
        table = (path / "members.csv").read_text()
        return {"best": best, "table": table, **_lasting(path)}
    folder = RunFolder.open(path)
    _, trained, _ = read(folder)
    state = folder.checkpoints.restore(None, trained.state)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key))):
        digest.update(np.asarray(leaf).tobytes())
    return {
        "weights": hashlib.sha256(folder.weights.read_bytes()).hexdigest(),
        "state": digest.hexdigest(),
        "history": [
            json.loads(line) | {"seconds": None}
            for line in _text(path / "metrics.jsonl").splitlines()
        ],
        **_lasting(path),
    }


def _lasting(path: Path) -> dict[str, Any]:
    """Return what a result says, but for times, and what files are beside it."""
    result = json.loads(_text(path / "result.json") or "{}")
    names = (
        file.relative_to(path).as_posix()
        for file in path.rglob("*")
        if "checkpoints" not in file.parts and file.name not in (LOCK, HOLDER)
    )
    return {
        "result": {k: v for k, v in result.items() if k not in _TIMES},
        "files": sorted(names),
    }


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words],
            cwd=folder,
            stdout=said,
            stderr=said,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[1]),
                # As this process compiles, which resumes it.
                _QUICKLY: str(int(jax.config.values["jax_disable_most_optimizations"])),
            },
        )
    return process


def _last_line(folder: Path) -> str:
    lines = (folder / "said.txt").read_text(errors="replace").splitlines()
    return lines[-1] if lines else ""


def _wait_for(path: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    while not any(path.glob(pattern)):
        if process.poll() is not None:
            sys.exit(f"it did not begin: {_last_line(path.parent)}")
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
            whole, _ = train_whole(kind, Path(place))
            _, seconds = train_whole(kind, Path(place), "again")  # it compiles less
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
            "others": [one._asdict() for one in killed if not one.same],
            "signals": Counter(one.signal for one in killed),
            "exit codes": Counter(str(one.code) for one in killed),
            "made when killed": [one.made for one in killed],
        }
        print(kind, json.dumps(table[kind]), flush=True)
    _RESULTS.write_text(
        json.dumps({"kinds": table, "seed": seed, **made_with()}, indent=2) + "\n"
    )


if __name__ == "__main__":
    tyro.cli(main)
