"""Compare runs and sweeps killed at random moments with uninterrupted ones.

    python -m bench.kills [--moments 20] [--kinds mlp gan ...]

Each kind is trained once to the end; then repeatedly by a process that is killed by
SIGKILL, SIGTERM or SIGINT at a random moment, and resumed by this process. The folders
must be the same, bit for bit: weights, optimizer state and the rest of the state,
history, and result, except for times; for a sweep, the table of all members, the best
member and the result. Writes bench/results/kills.json.
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
from fdl.runs.record import read

_RESULTS = Path(__file__).parent / "results" / "kills.json"
_QUICKLY = "JAX_DISABLE_MOST_OPTIMIZATIONS"
_TIMES = ("seconds", "steps_per_second", "history_sha256", "sha256")

# Background jobs of a shell start with SIGINT ignored.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from fdl.cli import main; main()"
)

# As many checkpoints as possible within an epoch, so that kills hit more of them.
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
"""The arguments of `fdl` for each kind."""


class Killed(NamedTuple):
    """A run or a sweep that was killed and resumed.

    Attributes:
        signal: Name of the signal.
        code: Exit code.
        said: Last line of its output.
        ended: Whether it already had a result: the signal came too late.
        made: Updates in its newest checkpoint when killed, 0 without a checkpoint; for
            a sweep, epochs of its members.
        same: Whether it equals an uninterrupted run.
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
    """Train to the end; return the fingerprint of the run, and its seconds of training.

    Trains in this process, which needs no startup time.
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
        kind: Name of a kind.
        folder: Working folder.
        number: Signal to send.
        after: Seconds to wait after a file that matches `once` exists.
        whole: Fingerprint of an uninterrupted run.
        name: Name of the run's folder.
        once: Pattern of files in the run's folder.
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
    if not ended or kind == "sweep":  # a sweep plots after writing its result
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
    """Run `fdl` in this process; return its exit code and the last line of output."""
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
    """Return the content of a run or a sweep, without times."""
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
    """Return the result without times, and the names of all files."""
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
                # The same compilation options as this process, which resumes it.
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
            sys.exit(f"the process ended early: {_last_line(path.parent)}")
        time.sleep(0.01)


def main(
    kinds: tuple[str, ...] = tuple(KINDS), *, moments: int = 20, seed: int = 0
) -> None:
    """Kill and resume runs of each kind, and write the results.

    Args:
        kinds: Names of kinds.
        moments: Number of kills for each kind.
        seed: Seed of the moments.
    """
    draw, table = random.Random(seed), {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as place:
            whole, _ = train_whole(kind, Path(place))
            _, seconds = train_whole(kind, Path(place), "again")  # compiles less
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
