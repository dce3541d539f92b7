"""One process at a time trains into a folder, and checking the lock does no harm."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fdl.runs import RunError, lock, own_files, resume, sweep, train
from fdl.runs.lock import HOLDER, Holder, held, is_held

SETTINGS = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 303}


def test_a_held_folder_is_refused_and_nothing_in_it_changes(
    tmp_path, monkeypatch
) -> None:
    run, sweeping = tmp_path / "run", tmp_path / "sweep"
    seen, mark = [], own_files.mark

    def make(path, kind):
        seen.append(is_held(path))
        mark(path, kind)

    monkeypatch.setattr(own_files, "mark", make)

    def look(*_: object) -> None:
        seen.append(is_held(run) or is_held(sweeping))
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        train("mlp", path=run, on_start=look, **SETTINGS)
    with contextlib.suppress(KeyboardInterrupt):
        resume(run, on_start=look)
    with contextlib.suppress(KeyboardInterrupt):
        sweep("mlp", seeds=2, path=sweeping, on_start=look, **SETTINGS)
    assert seen == [True] * 5, "the lock is taken before anything is written"
    assert not is_held(run), "an interruption releases the lock"
    before = sorted(tmp_path.rglob("*"))
    with held(run), held(sweeping):
        with pytest.raises(RunError, match=r"in use: process .* is training"):
            train("mlp", path=run, overwrite=True, **SETTINGS)
        with pytest.raises(RunError, match="in use"):
            resume(run)
        with pytest.raises(RunError, match="in use"):
            sweep("mlp", seeds=2, path=sweeping, **SETTINGS)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_lock_is_released_when_the_process_is_killed(tmp_path) -> None:
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
    gone = f"process {process.pid} on .* is gone"
    with pytest.warns(UserWarning, match=gone), held(tmp_path):
        assert is_held(tmp_path)


def leave(folder, holder, age) -> None:
    """Write the holder file of a process that was killed, or runs on another host."""
    (folder / HOLDER).write_text(json.dumps(holder._asdict()))
    beat = (folder / HOLDER).stat().st_mtime - age
    os.utime(folder / HOLDER, (beat, beat))


@pytest.mark.parametrize(
    ("change", "age", "lives"),
    [
        ({}, 1000, True),  # this process, whatever its heartbeat
        ({"began": 0.0}, 0, False),  # its process ID was reused
        ({"process": 2**22 + 1}, 0, False),
        ({"host": "elsewhere"}, 60, True),
        ({"host": "elsewhere"}, 1000, False),
    ],
)
def test_live_holders_are_named_and_dead_ones_replaced(
    tmp_path, change, age, lives
) -> None:
    holder = Holder.this()._replace(**change)
    leave(tmp_path, holder, age)
    assert is_held(tmp_path) is lives
    name = f"process {holder.process} on {holder.host} "
    if lives:
        with pytest.raises(RunError, match=f"in use: {name}"), held(tmp_path):
            pass
        assert [file.name for file in tmp_path.iterdir()] == [HOLDER]
        return
    with (
        pytest.warns(UserWarning, match=f"{name}.* is gone; continuing"),
        held(tmp_path),
    ):
        assert is_held(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_holder_keeps_up_its_heartbeat(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lock, "_BEAT", 0.01)
    with held(tmp_path):
        os.utime(tmp_path / HOLDER, (0, 0))
        while (tmp_path / HOLDER).stat().st_mtime == 0:
            time.sleep(0.01)
        (tmp_path / HOLDER).write_text("{")  # the file is damaged
        assert is_held(tmp_path), "the lock of the kernel still holds"
