"""Small sweeps over a few digits, shared by several test files."""

import contextlib
import dataclasses
import json
from importlib import import_module

import jax
import numpy as np
import pytest

import fdl
from fdl import tasks
from fdl.data import load
from fdl.runs import RunFolder, space
from fdl.runs.listing import read_json
from fdl.runs.members import Members
from fdl.runs.rounds import Round, halving_rounds, train_members


class Killed(BaseException):
    """Raised where a process is killed."""


@contextlib.contextmanager
def few_digits_and_no_pictures():
    """Let sweeps train on a few digits, and draw nothing."""
    dataset = few()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", lambda *args, **options: dataset)
        patch.setattr(import_module("fdl.runs.sweep"), "draw", lambda *args: None)
        yield


def few(count=60, **options):
    """Return `count` digits of each part."""
    dataset = load("mnist-5k", **options)
    parts = {
        name: type(part)(part.image[:count], part.label[:count])
        for name, part in dataset._asdict().items()
        if name in ("train", "validation", "test") and part is not None
    }
    counts = {f"{name}_count": count for name in parts}
    info = dataset.info._replace(**counts)
    return dataset._replace(**parts, info=info, held_out=None)


def configs(name="mlp", grid=(), seeds=1, epochs=2, **options):
    task = tasks.find(name)
    config = task.config(
        dataset="mnist-5k",
        epochs=epochs,
        batch_size=20,
        options=dataclasses.replace(task.options, **options),
    )
    return space.combine(config, grid=dict(grid), ranges={}, samples=1, seeds=seeds)


def make(folder, name="mlp", **options):
    return Members(tasks.find(name), configs(name, **options), few(), folder)


def run(members, halving=False, **options):
    rounds = [Round()]
    if halving:
        info = members.dataset.info
        rounds = halving_rounds(members.task, members.configs, info)
    train_members(members, rounds, **options)
    return members


def flat(state):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(state.params)])


def edit(path, change):
    """Change the `config.json` of a run or a sweep, and remove its checksum."""
    config = json.loads((path / "config.json").read_text())
    config.pop("sha256", None)
    change(config)
    (path / "config.json").write_text(json.dumps(config))


def content(folder):
    """Return the results of a sweep, without times and pictures."""
    found = {
        name: (folder / name).read_bytes()
        for name in ("members.csv", "best/weights.safetensors", "best/config.json")
    }
    result = read_json(folder / "result.json")
    del result["seconds"]
    run = fdl.load(folder / "best")
    kept = RunFolder(run.path).checkpoints
    (place,) = kept.found()
    state = kept.restore(int(place.name), run.state)
    named = jax.tree_util.tree_leaves_with_path(state._replace(key=()))
    return found | {
        "result.json": result,
        "best/result.json": run.result,
        "best": {jax.tree_util.keystr(path): x.tolist() for path, x in named},
    }
