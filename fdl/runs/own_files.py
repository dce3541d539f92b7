"""What in a folder fdl wrote, by its own mark; nothing else is ever removed.

A run that replaces another is trained in `.new`, inside the folder of the old one, and
takes its place once it has an epoch to show. Whatever ends the process, one of the two
is there as a whole.
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
_PART = f".{'[0-9a-f]' * 16}.part"  # what a process leaves that is killed as it writes
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
    """Mark a folder as a run or a sweep of fdl's."""
    _write_mark(path, {"made": kind, "files": []})


def made(path: Path) -> str | None:
    """Return what fdl made of a folder, `"run"` or `"sweep"`; None for nothing."""
    return _read_mark(path).get("made")


@contextlib.contextmanager
def noted(path: Path) -> Iterator[None]:
    """Take note of the files that are written into a run's folder in the block."""
    before = changed(path)
    yield
    said = _read_mark(path)
    new = {name for name, time in changed(path).items() if before.get(name) != time}
    known = set(said.get("files", ()))
    if said and not new <= known:
        _write_mark(path, said | {"files": sorted(known | new)})


def changed(path: Path) -> dict[str, int]:
    """Return when the pictures and the like in a run's folder were changed, by name.

    What every run has does not count: a thread may be writing it.
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
    """Return the names of what is in a run's folder and is not fdl's."""
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
    """Return whether a folder holds nothing but a lock, or what hardly began."""
    return {file.name for file in path.iterdir()} <= {LOCK, HOLDER, _MARK}


def discard_parts(path: Path) -> None:
    """Delete what a killed process has not written to the end, while none writes."""
    for folder in (path, path / NEW, path / "parts", path / "best"):
        for file in folder.glob(_PART):
            file.unlink()


def discard_new(path: Path) -> None:
    """Delete the run that was to replace another, if there is one."""
    shutil.rmtree(path / NEW, ignore_errors=True)


def replace(path: Path) -> None:
    """Put the run in `.new` in the place of the old one.

    Once this has begun, `finish_replacing` ends it where a killed process did not.
    """
    write_whole(path / NEW / _READY, b"")
    finish_replacing(path)


def finish_replacing(path: Path) -> None:
    """Finish what `replace` began, if it did; each step may have been made before."""
    new = path / NEW
    if not (new / _READY).is_file():
        return
    if (new / _MARK).is_file():
        if (path / _MARK).is_file():  # the old run's: it goes when all else has
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
    """Return the files and folders that fdl wrote, but for the mark."""
    known = [file for pattern in _ALWAYS for file in path.glob(pattern)]
    said = [path / name for name in _read_mark(path).get("files", ())]
    states = [
        file
        for file in (path / "checkpoints").glob("[0-9]*")
        if file.is_dir() and is_ours(file)
    ]
    states += (path / "checkpoints").glob(UNFINISHED)
    root = path.resolve()  # what lies behind a link is none of ours
    return [
        file
        for file in [*known, *(file for file in said if not file.is_dir()), *states]
        if file.parent.resolve().is_relative_to(root) and os.path.lexists(file)
    ]


def _remove(file: Path, path: Path) -> None:
    """Remove a file or folder, and the folders around it that are empty then."""
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
