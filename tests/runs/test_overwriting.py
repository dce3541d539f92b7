"""What `--overwrite` replaces, when, and what it never touches."""

import json
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from fdl.learner import State
from fdl.runs import RunError, RunFolder, own_files, train
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.lock import held
from fdl.runs.own_files import foreign, noted
from fdl.train import DivergenceError, Epoch

SMALL = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 303}


def moment(step: int) -> Checkpoint:
    state = State(jnp.int32(step), {"x": jnp.arange(3.0) + step}, jax.random.key(0))
    return Checkpoint(state, (Epoch(1, step, True, {"loss": 1.0}, {}, 0.5),))


def run_in(path: Path, seed: int) -> RunFolder:
    """Write a run folder as training leaves it."""
    folder = RunFolder.create(path, {"seed": seed}, overwrite=True)
    folder.keep(moment(seed))
    folder = folder.settle()
    with noted(path):
        (path / "samples").mkdir()
        for name in ("confusion.png", "samples/epoch-1.png"):
            (path / name).write_text(str(seed))
    folder.write_json("result.json", {"seed": seed})
    return folder


def content(path: Path) -> dict[str, bytes]:
    files = [file for file in path.rglob("*") if file.is_file()]
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in files
        if "checkpoints/" not in file.as_posix()  # Orbax writes the time
    }


def test_a_run_is_replaced_only_once_the_new_one_has_an_epoch(tmp_path) -> None:
    run_in(tmp_path, 1)
    before = content(tmp_path)
    new = RunFolder.create(tmp_path, {"seed": 2}, overwrite=True)
    assert new.config() == {"seed": 2}
    assert RunFolder.open(tmp_path).config() == {"seed": 1}
    assert RunFolder.begun(tmp_path).config() == {"seed": 1}, "the new run is empty"
    new.keep(moment(2))
    assert RunFolder.begun(tmp_path).config() == {"seed": 2}
    now = {k: v for k, v in content(tmp_path).items() if not k.startswith(".new/")}
    assert now == before
    settled = new.settle()
    assert settled == RunFolder(tmp_path) == RunFolder.open(tmp_path)
    assert settled.config() == {"seed": 2}
    assert [path.name for path in settled.checkpoints.found()] == ["2"]
    assert sorted(content(tmp_path)) == [
        ".fdl.json",
        "config.json",
        "metrics.jsonl",
        "weights.safetensors",
    ]


def test_a_kill_at_any_step_of_replacing_leaves_a_whole_run(
    tmp_path, monkeypatch
) -> None:
    class Killed(BaseException):
        pass

    def counted(plain):
        def call(*args, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return plain(*args, **options)

        return call

    left = [-1]
    for module, name in (
        (os, "replace"),
        (shutil, "rmtree"),
        (Path, "unlink"),
        (Path, "rmdir"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    reached = []
    for steps in range(100):
        path = tmp_path / str(steps)
        run_in(path, 1)
        new = RunFolder.create(path, {"seed": 2}, overwrite=True)
        new.keep(moment(2))
        left[0] = steps
        try:
            new.settle()
            break
        except Killed:
            left[0] = -1
        opened = RunFolder.open(path)
        seed = opened.config()["seed"]
        reached.append(seed)
        assert [int(p.name) for p in opened.checkpoints.found()] == [seed]
        assert [line.step for line in opened.history()] == [seed]
        assert (opened.result() is None) == (seed == 2)
        assert foreign(path) in ([], ["samples"]), "at most an empty folder is left"
    assert sorted(reached) == reached, "first the old run, then the new one"
    assert set(reached) == {1, 2}
    assert len(reached) > 10


def test_only_files_that_fdl_wrote_are_removed_and_others_named(tmp_path) -> None:
    path, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run_in(path, 1)
    kept = ("notes.txt", "samples/mine.png", "thesis/1.tex", "checkpoints/99999/a")
    for name in kept:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("mine")
    elsewhere.mkdir()
    (elsewhere / "epoch-1.png").write_text("mine")
    (path / "linked").symlink_to(elsewhere)
    outside = ["linked/epoch-1.png", "../elsewhere/epoch-1.png"]
    mark = json.dumps({"made": "run", "files": outside})
    original = (path / ".fdl.json").read_text()
    (path / ".fdl.json").write_text(mark)
    assert "confusion.png" in foreign(path), "the mark does not list it"
    assert (path / "confusion.png") not in own_files._own(path)
    assert not any("epoch-1" in file.name for file in own_files._own(path))
    (path / ".fdl.json").write_text(original)
    new = RunFolder.create(path, {"seed": 2}, overwrite=True)
    new.keep(moment(2))
    with pytest.warns(UserWarning, match="fdl did not write it") as warned:
        new.settle()
    named = sorted(str(each.message).split(" stays")[0] for each in warned)
    names = ("checkpoints/99999", "linked", "notes.txt", "samples/mine.png", "thesis")
    assert named == [str(path / name) for name in names]
    assert [(path / name).read_text() for name in kept] == ["mine"] * 4
    assert not (path / "confusion.png").exists()
    assert not (path / "result.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: (path / "thesis.txt").write_text("mine"), "not a run"),
        (
            lambda path: (path / "config.json").write_text('{"name": "my web app"}'),
            "not written by this version of fdl",
        ),
        (lambda path: RunFolder.create(path, {"sweep": {}}), "contains a sweep"),
    ],
)
def test_folders_without_a_run_are_refused(tmp_path, make, message, overwrite) -> None:
    make(tmp_path)
    before = content(tmp_path)
    for begin in (
        lambda: RunFolder.create(tmp_path, {}, overwrite=overwrite),
        lambda: train("mlp", path=tmp_path, overwrite=overwrite, **SMALL),
    ):
        with pytest.raises(RunError, match=message):
            begin()
    assert content(tmp_path) == before


def test_a_run_in_training_is_refused(tmp_path) -> None:
    run_in(tmp_path, 1)
    with held(tmp_path), pytest.raises(RunError, match="in use: process"):
        train("mlp", path=tmp_path, overwrite=True, **SMALL)


def test_failed_training_leaves_the_old_run(tmp_path) -> None:
    run_in(tmp_path, 1)
    before = content(tmp_path)
    with pytest.raises(DivergenceError):
        train("mlp", path=tmp_path, overwrite=True, **SMALL, learning_rate=1e38)
    assert content(tmp_path) == before

    def stop(line, state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("mlp", path=tmp_path, overwrite=True, on_epoch=stop, **SMALL)
    assert RunFolder.open(tmp_path).config()["task"] == "mlp", "it has an epoch"
