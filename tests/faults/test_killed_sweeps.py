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

EPOCHS, SEEDS = 8, 2
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


def kill_within(process, folder, epoch, number):
    """Send a signal to a process when members are somewhere within an epoch."""
    while not [*folder.glob(f"parts/*-{epoch:06d}.safetensors")]:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.05))
    process.send_signal(number)
    return process.communicate()[1]


def test_a_sweep_that_is_killed_twice_ends_as_one_that_is_not(tmp_path) -> None:
    first, second = sorted(random.sample(range(1, EPOCHS - 1), 2))
    process = start(*COMMAND, "--run", "killed", cwd=tmp_path)
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
    killed = tmp_path / "killed"
    kill_within(process, killed, first, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    process = start("sweep", "--run", "killed", cwd=tmp_path)
    said = kill_within(process, killed, second, signal.SIGTERM)
    assert process.returncode == 143, said
    assert "fdl sweep --run killed" in said.splitlines()[-1]
    process = start("sweep", "--run", "killed", "--quiet", cwd=tmp_path)
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert digests(killed) == digests(tmp_path / "whole")
