"""Pictures do not depend on the backend of Matplotlib."""

import os
import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from fdl import report
report.draw_curves(Path(sys.argv[1]), {"loss": [2.0, 1.0]}, {}, title="a run")
import os, matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""


def drawn(file, backend: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, file],
        env=os.environ | {"MPLBACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert file.read_bytes()[1:4] == b"PNG"
    return ended.stdout


def test_a_missing_backend_does_no_harm(tmp_path) -> None:
    output = drawn(tmp_path / "a.png", "module://not.installed.here")
    assert output.startswith("module://not.installed.here ")


def test_an_installed_backend_is_left_unchanged(tmp_path) -> None:
    assert drawn(tmp_path / "a.png", "svg") == "svg svg\n"


def test_the_path_sets_the_format_and_may_be_a_string(tmp_path) -> None:
    from fdl import report

    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for ending, start in starts.items():
        file = tmp_path / f"curves.{ending}"
        report.draw_curves(str(file), {"loss": [2.0, 1.0]}, {}, title="a run")
        assert file.read_bytes().startswith(start)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"curves.{ending}" for ending in sorted(starts)
    ]
