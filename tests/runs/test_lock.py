"""A folder is trained into by one process at a time, and whoever looks does no harm."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from fdl.runs import RunError, RunFolder, resume, sweep, train
from fdl.runs.lock import held, is_held

SETTINGS = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 500}


def test_a_held_folder_is_refused_and_nothing_in_it_changes(tmp_path) -> None:
    run, sweeping = tmp_path / "run", tmp_path / "sweep"
    seen = []

    def look(*_: object) -> None:
        seen.append(is_held(run) or is_held(sweeping))
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        train("mlp", path=run, on_start=look, **SETTINGS)
    with contextlib.suppress(KeyboardInterrupt):
        resume(run, on_start=look)
    with contextlib.suppress(KeyboardInterrupt):
        sweep("mlp", seeds=2, path=sweeping, on_start=look, **SETTINGS)
    assert seen == [True, True, True]
    assert not is_held(run), "what is interrupted lets go"
    before = sorted(tmp_path.rglob("*"))
    with held(run), held(sweeping):
        with pytest.raises(RunError, match="a process is training into it"):
            RunFolder.create(run, {}, overwrite=True)
        with pytest.raises(RunError, match="in use"):
            resume(run)
        with pytest.raises(RunError, match="in use"):
            sweep("mlp", seeds=2, path=sweeping, **SETTINGS)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_lock_ends_with_the_process_however_that_ends(tmp_path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from fdl.runs.lock import held\n"
        f"with held(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_held(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert is_held(tmp_path)
