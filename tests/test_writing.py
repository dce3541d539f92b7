"""Files are written completely or not at all, and only where they should be."""

import contextlib
import json
import math
import os
import re
import resource
import stat
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import fdl
from fdl import files
from fdl.files import write_whole
from fdl.runs import RunFolder
from fdl.train import Epoch


def test_two_writers_and_a_reader_see_whole_files(tmp_path) -> None:
    file, contents = tmp_path / "a", [b"a" * 200_000, b"b" * 300_000]
    write_whole(file, contents[0])

    def write(content):
        for _ in range(30):
            write_whole(file, content)

    writers = [threading.Thread(target=write, args=(each,)) for each in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert file.read_bytes() in contents
    assert os.listdir(tmp_path) == ["a"], "nothing else is left"


def test_a_planted_link_is_not_written_through(tmp_path, monkeypatch) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / ".guessed.part").symlink_to(victim)
    with pytest.raises(FileExistsError, match=r"'.*/out'"):
        write_whole(tmp_path / "out", b"new")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "out").exists()


def test_a_link_is_replaced_but_a_pipe_or_folder_is_not(tmp_path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match=f"is not a file: '.*/{name}'"):
            write_whole(tmp_path / name, b"new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_permissions_are_those_of_a_new_file_or_of_the_replaced_one(tmp_path) -> None:
    file, plain = tmp_path / "a", tmp_path / "plain"
    plain.write_bytes(b"")
    write_whole(file, b"1")
    assert file.stat().st_mode == plain.stat().st_mode
    file.chmod(0o640)
    write_whole(file, b"2")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@contextlib.contextmanager
def full_disk():
    """Limit files to 1,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file(tmp_path) -> None:
    file = tmp_path / ("n" * 255)  # the longest name possible
    write_whole(file, b"old")
    with full_disk(), pytest.raises(OSError, match=f"File too large: '{file}'"):
        write_whole(file, bytes(2000))
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [file.name]


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch) -> None:
    done, fsync, replace = [], os.fsync, os.replace

    def record(name, function):
        def recorded(*args):
            mode = os.fstat(args[0]).st_mode if name == "fsync" else 0
            done.append("folder" if stat.S_ISDIR(mode) else name)
            return function(*args)

        monkeypatch.setattr(os, name, recorded)

    record("fsync", fsync)
    record("replace", replace)
    write_whole(tmp_path / "a", b"content")
    assert done == ["fsync", "replace", "folder"]


@pytest.mark.parametrize("year", [1970, 2150])
def test_archives_are_written_for_any_date(year, monkeypatch, tmp_path) -> None:
    now = time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0))
    monkeypatch.setattr(time, "localtime", lambda *seconds: now)
    model, image = fdl.models.MLP(3, (4,)), np.zeros((1, 2, 2, 1), np.float32)
    variables = model.init(jax.random.key(0), image)
    fdl.keras.save_weights(tmp_path / "a.keras", model, variables, image)
    loaded = fdl.keras.load_weights(tmp_path / "a.keras", model, image)
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, variables))


def test_values_that_are_not_finite_are_null_in_json(tmp_path) -> None:
    def no_json(name):
        raise AssertionError(name)

    folder = RunFolder.create(tmp_path / "run", {"rate": math.inf})
    metrics = {"loss": math.nan, "bits": [1, -math.inf]}
    folder.write_json("result.json", {"metrics": metrics})
    line = Epoch(1, 3, True, {"loss": math.inf}, {}, 0.5)
    folder.write_history([line, line._replace(epoch=2)])
    for file in (tmp_path / "run").iterdir():
        text = file.read_text()
        for part in text.splitlines() if file.suffix == ".jsonl" else [text]:
            json.loads(part, parse_constant=no_json)
    assert folder.result() == {"metrics": {"loss": None, "bits": [1, None]}}
    first, second = folder.history()
    assert math.isnan(first.train["loss"])
    assert (second.epoch, second.seconds) == (2, 0.5)


OTHERS = {
    "fdl/console.py": "output that nobody can read goes to the null device",
    "fdl/runs/states.py": "a state is a folder that is renamed when it is complete",
}
"""Files that write in another way, and why this is safe."""


def test_all_of_fdl_writes_files_in_one_way() -> None:
    writes = re.compile(
        r"""\.write_(text|bytes)\(|\bopen\([^)]*["'][wax]b?["']|savefig\((?!content)"""
    )
    root = Path(fdl.__file__).parents[1]
    found = {
        file.relative_to(root).as_posix()
        for file in (root / "fdl").rglob("*.py")
        for line in file.read_text().splitlines()
        if writes.search(line) and not line.lstrip().startswith((">>>", "..."))
    }
    assert found - {"fdl/files.py"} <= OTHERS.keys()
    assert "fdl/files.py" in found
