"""The command line as a user meets it, for the tests of several files."""

import subprocess
import sys
from pathlib import Path

import pytest

from fdl.cli import main

FDL = str(Path(sys.executable).parent / "fdl")


def fdl(*words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `fdl` in a new process."""
    done = subprocess.run(
        [FDL, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def complaint(words, capsys, code=2) -> str:
    """Run a command that must fail, and return its one line."""
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    assert done.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("fdl: ")
    return captured.err
