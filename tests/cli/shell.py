"""Run `fdl` as a user does; shared by several test files."""

import contextlib
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fdl.cli import main

FDL = str(Path(sys.executable).parent / "fdl")


Done = subprocess.CompletedProcess[str]


def fdl(*words: object, cwd: Path, code: int = 0) -> Done:
    """Run `fdl` in a folder, within this process, which has already imported JAX."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main([*map(str, words)])
        except SystemExit as exit:
            status = exit.code or 0
    assert status == code, err.getvalue()
    return Done(words, status, out.getvalue(), err.getvalue())


def process(*words: object, cwd: Path, code: int = 0, sleep: int = 0) -> Done:
    """Run `fdl` in a new process: a shell sleeps, then becomes `fdl`."""
    line = f"sleep {sleep}; exec {shlex.join([FDL, *map(str, words)])}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        # The same compilation options as the process of the tests.
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
    )
    assert done.returncode == code, done.stderr
    return done


def complaint(words, capsys, code=2) -> str:
    """Run a command that must fail, and return its one-line error message."""
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    assert done.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("fdl: ")
    return captured.err
