"""Faults around a command get one line and a documented exit code, and lose nothing."""

import errno
import gc
import io
import json
import os
import re
import resource
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from shell import complaint

from fdl.cli import main
from fdl.cli.eval import Eval
from fdl.cli.progress import TrainingProgress

TRAIN = ["train", "mlp", "--dataset", "mnist-5k", "--epochs", "2"]
TRAIN += ["--hidden-sizes", "4", "--batch-size", "1000", "--run", "run"]


def broken_pipe():
    """Return a pipe to write to whose reader has closed it."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize("stream", [broken_pipe, lambda: open("/dev/full", "w")])
def test_training_continues_when_its_output_is_closed(
    stream, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with stream() as err:
        monkeypatch.setattr(sys, "stderr", err)
        main(TRAIN)
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert json.loads((tmp_path / "run/result.json").read_text())["epochs"] == 2


def test_a_closed_pipe_is_not_an_error_but_a_full_disk_is(monkeypatch, capsys) -> None:
    with broken_pipe() as out:
        monkeypatch.setattr(sys, "stdout", out)
        main(["tasks"])
    with open("/dev/full", "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit, match="2"):
            main(["tasks"])
    monkeypatch.undo()
    main(["--version"])
    captured = capsys.readouterr()
    assert captured.err == "fdl: No space left on device.\n"
    assert captured.out.startswith("fdl "), "unprinted output is discarded"


def test_closed_standard_streams_are_the_null_device(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    main(["tasks"])
    with pytest.raises(SystemExit, match="2"):
        main(["eval", "absent"])
    for stream in (sys.stdout, sys.stderr):
        assert stream.name == os.devnull
        stream.close()


def test_unencodable_characters_are_no_error(monkeypatch) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding="ascii"))
    main(["tasks"])
    assert b" cnn " in content.getvalue()
    assert b"\xc2" not in content.getvalue()  # begins a plus-minus sign in UTF-8


def test_a_narrow_terminal_and_odd_file_names_hide_nothing(
    home, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "20")
    names = [b"caf\xe9.png", b"\x1b[31m.png"]
    for name in names:
        with open(name, "wb") as file:
            Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(file, "png")
    main(["predict", "runs/a", *map(os.fsdecode, names)])
    output = capsys.readouterr().out
    assert r"caf\udce9.png" in output
    assert r"\x1b[31m.png" in output
    assert output.count("%") == 4
    assert r"a\x1b[0m is not a run" in complaint(["eval", "a\x1b[0m"], capsys)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nand more"),
        RuntimeError("can't start new thread"),
    ],
)
def test_running_out_of_memory_gets_one_line(error, monkeypatch, capsys) -> None:
    def fail(self):
        raise error

    monkeypatch.setattr(Eval, "__call__", fail)
    message = complaint(["eval", "run"], capsys, code=1)
    assert message.startswith("fdl: there is not enough memory")


def fill_the_disk(monkeypatch) -> None:
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def take_all_descriptors(monkeypatch) -> None:
    free = os.dup(0)  # the lowest free one: those below it are in use
    os.close(free)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))


# Orbax does not clean up what it cannot start.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (fill_the_disk, "No space left on device"),
        (take_all_descriptors, "[Tt]oo many open files"),
    ],
)
def test_a_full_disk_or_too_many_files_get_one_line_and_keep_the_last_epoch(
    spoil, words, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    after = TrainingProgress.on_epoch
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def then_spoil(self, line, state):
        after(self, line, state)
        spoil(monkeypatch)

    monkeypatch.setattr(TrainingProgress, "on_epoch", then_spoil)
    try:
        with pytest.raises(SystemExit, match="2"):
            main(TRAIN)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f"fdl: .*run.*{words}", last)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    main(["train", "--resume", "run", "--quiet"])
    assert json.loads((tmp_path / "run/result.json").read_text())["epochs"] == 2
    gc.collect()  # or the garbage of Orbax would warn in another test


def test_a_deleted_run_folder_gets_one_line(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    before = TrainingProgress.on_start

    def remove(self, plan):
        before(self, plan)
        shutil.rmtree(plan.path)

    monkeypatch.setattr(TrainingProgress, "on_start", remove)
    error = complaint([*TRAIN, "--quiet"], capsys)
    assert error.startswith("fdl: run/")
    assert "No such file or directory" in error


def test_impossible_run_paths_get_one_line(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    line = [*TRAIN[:-1], "file/run", "--quiet"]
    assert "file/run: Not a directory" in complaint(line, capsys)
    assert "file is a file" in complaint([*TRAIN[:-1], "file", "--quiet"], capsys)

    def read_only(self, *args, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", read_only)
    error = complaint([*TRAIN[:-1], "new", "--quiet"], capsys)
    assert error == "fdl: new: Read-only file system.\n"
