"""The files of a folder that fdl wrote, by its mark; no others are ever removed.

A run that replaces another is trained in `.new`, inside the folder of the old one, and
takes its place after its first epoch. However the process ends, one of the two is
complete.
"""

import contextlib
import fnmatch
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from fdl.files import write_whole
from fdl.runs.lock import HOLDER, LOCK
from fdl.runs.states import UNFINISHED, is_ours, sync
from fdl.untrusted import parse_json, read_text

NEW = ".new"
_MARK, _READY = ".fdl.json", ".ready"
_PART = f".{'[0-9a-f]' * 16}.part"  # left by a process that was killed while writing
_ALWAYS = (
    "config.json",
    "metrics.jsonl",
    "result.json",
    "weights.safetensors",
    "novelty.safetensors",
    "seen.safetensors",
    "tensorboard/events.out.tfevents.*",
    "wandb",
    _PART,
    NEW,
    LOCK,
    HOLDER,
)


def mark(path: Path, kind: Literal["run", "sweep"]) -> None:
    """Mark a folder as a run or a sweep of fdl."""
    _write_mark(path, {"made": kind, "files": []})


def made(path: Path) -> str | None:
    """Return the kind of a folder, `"run"` or `"sweep"`; None if it is not fdl's."""
    return _read_mark(path).get("made")


@contextlib.contextmanager
def noted(path: Path) -> Iterator[None]:
    """Record the files that are written into a run's folder within the block."""
    before = changed(path)
    yield
    said = _read_mark(path)
    new = {name for name, time in changed(path).items() if before.get(name) != time}
    known = set(said.get("files", ()))
    if said and not new <= known:
        _write_mark(path, said | {"files": sorted(known | new)})


def changed(path: Path) -> dict[str, int]:
    """Return the modification times of a run's additional files, such as pictures.

    Files that every run has are excluded: a thread may be writing them.
    """
    found: dict[str, int] = {}
    for folder, folders, names in os.walk(path):
        if folder == str(path):
            folders[:] = [name for name in folders if not _is_always_ours(name)]
            names = [name for name in names if not _is_always_ours(name)]
        for file in (Path(folder, name) for name in names):
            found[file.relative_to(path).as_posix()] = file.stat().st_mtime_ns
    return found


def foreign(path: Path) -> list[str]:
    """Return the names of files in a run's folder that fdl did not write."""
    own = {path / _MARK, *_own(path)}
    around = {parent for file in own for parent in file.parents}
    around.add(path / "checkpoints")

    def walk(folder: Path) -> Iterator[Path]:
        for file in folder.iterdir():
            if file in around:
                yield from walk(file)
            elif file not in own:
                yield file

    return sorted(file.relative_to(path).as_posix() for file in walk(path))


def is_empty(path: Path) -> bool:
    """Return whether a folder contains nothing but a lock or a mark."""
    return {file.name for file in path.iterdir()} <= {LOCK, HOLDER, _MARK}


def discard_parts(path: Path) -> None:
    """Delete incomplete files of a killed process; no process may be writing."""
    for folder in (path, path / NEW, path / "parts", path / "best"):
        for file in folder.glob(_PART):
            file.unlink()


def discard_new(path: Path) -> None:
    """Delete the run that was to replace another, if there is one."""
    shutil.rmtree(path / NEW, ignore_errors=True)


def replace(path: Path) -> None:
    """Replace the old run with the one in `.new`.

    If the process is killed on the way, `finish_replacing` completes it later.
    """
    write_whole(path / NEW / _READY, b"")
    finish_replacing(path)


def finish_replacing(path: Path) -> None:
    """Complete a `replace` that has begun, of which any steps may be done already."""
    new = path / NEW
    if not (new / _READY).is_file():
        return
    if (new / _MARK).is_file():
        if (path / _MARK).is_file():  # the old run's, which is removed last
            for file in _own(path):
                if file != new and file.name not in (LOCK, HOLDER):
                    _remove(file, path)
            (path / _MARK).unlink()
            sync(path)
        for file in sorted(new.iterdir(), key=lambda file: file.name == _MARK):
            if file.name != _READY:
                _move(file, path / file.name)
        sync(path)
    shutil.rmtree(new)


def _own(path: Path) -> list[Path]:
    """Return the files and folders that fdl wrote, except for the mark."""
    known = [file for pattern in _ALWAYS for file in path.glob(pattern)]
    said = [path / name for name in _read_mark(path).get("files", ())]
    states = [
        file
        for file in (path / "checkpoints").glob("[0-9]*")
        if file.is_dir() and is_ours(file)
    ]
    states += (path / "checkpoints").glob(UNFINISHED)
    root = path.resolve()  # files behind a link are not fdl's
    return [
        file
        for file in [*known, *(file for file in said if not file.is_dir()), *states]
        if file.parent.resolve().is_relative_to(root) and os.path.lexists(file)
    ]


def _remove(file: Path, path: Path) -> None:
    """Remove a file or folder, and its parent folders that become empty."""
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)
    for parent in file.relative_to(path).parents[:-1]:
        if (path / parent).is_dir() and not any((path / parent).iterdir()):
            (path / parent).rmdir()


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        for child in source.iterdir():
            _move(child, target / child.name)
        source.rmdir()
    else:
        os.replace(source, target)


def _is_always_ours(name: str) -> bool:
    return any(fnmatch.fnmatch(name, one) for one in (*_ALWAYS, "checkpoints"))


def _read_mark(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        said = parse_json(read_text(path / _MARK))
        if isinstance(said, dict) and isinstance(said.get("files", []), list):
            return said
    return {}


def _write_mark(path: Path, content: dict[str, Any]) -> None:
    write_whole(path / _MARK, (json.dumps(content) + "\n").encode())
