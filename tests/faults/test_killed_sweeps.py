"""A sweep that is killed at random moments ends as one that was not."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

from fdl.runs import sweep
from fdl.runs.space import Range

EPOCHS, SEEDS = 12, 2
COMMAND = (
    *("sweep", "mlp", "--dataset", "mnist-5k", "--epochs", EPOCHS, "--seeds", SEEDS),
    *("--batch-size", 100, "--hidden-sizes", 16, "--samples", 2, "--quiet"),
    *("--random", "learning-rate=log:1e-3:1e-1"),
)


def digests(folder):
    """Return what a sweep left, without times and pictures."""
    result = json.loads((folder / "result.json").read_text())
    del result["seconds"]
    names = ("members.csv", "best/weights.safetensors")
    return result, [
        hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names
    ]


def start(*words, cwd):
    """Run `fdl` as this process compiles: with few optimizations."""
    return subprocess.Popen(
        [sys.executable, "-m", "fdl", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(epoch, number, process, folder):
    """Send a signal to a process when members are somewhere after an epoch."""
    made = 0
    while made < epoch:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
        files = [file.stem for file in folder.glob("parts/*.safetensors")]
        made = max((int(name.rpartition("-")[2]) for name in files), default=0)
    time.sleep(random.uniform(0, 0.05))
    process.send_signal(number)
    return process.communicate()[1]


def test_a_sweep_that_is_killed_twice_ends_as_one_that_is_not(tmp_path) -> None:
    killed, moments = tmp_path / "killed", random.sample(range(1, EPOCHS - 2), 2)
    first, second = sorted(moments)
    process = start(*COMMAND, "--run", "killed", cwd=tmp_path)
    kill_after(first, signal.SIGKILL, process, killed)
    assert process.returncode == -signal.SIGKILL
    process = start("sweep", "--run", "killed", cwd=tmp_path)
    said = kill_after(second, signal.SIGTERM, process, killed)
    assert process.returncode == 143, said
    assert said.splitlines()[-1].endswith("to go on: fdl sweep --run killed")
    process = start("sweep", "--run", "killed", "--quiet", cwd=tmp_path)
    said = process.communicate()[1]
    assert (process.returncode, said) == (0, "")
    sweep(
        "mlp",
        dataset="mnist-5k",
        epochs=EPOCHS,
        seeds=SEEDS,
        batch_size=100,
        hidden_sizes=(16,),
        ranges={"learning_rate": Range(1e-3, 1e-1, log=True)},
        samples=2,
        path=tmp_path / "whole",
    )
    assert digests(killed) == digests(tmp_path / "whole"), (first, second)
