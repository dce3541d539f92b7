import json
import time

import pytest
from shell import process


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder in which `fdl train` wrote `runs/a`, with its output and wall time."""
    folder = tmp_path_factory.mktemp("home")
    options = ("--dataset", "mnist-5k", "--epochs", 2, "--seed", 3)
    started, slept = time.monotonic(), 1
    done = process("train", "mlp", *options, "--run", "runs/a", cwd=folder, sleep=slept)
    seconds = [time.monotonic() - started, slept]
    (folder / "seconds.json").write_text(json.dumps(seconds))
    (folder / "out.txt").write_text(done.stdout)
    (folder / "err.txt").write_text(done.stderr)
    return folder
