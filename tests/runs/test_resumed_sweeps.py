"""A resumed sweep ends as if never interrupted; damaged files are named."""

import dataclasses
import json
import shutil

import pytest
from small import Killed, content, edit, few, few_digits_and_no_pictures

from fdl import tasks
from fdl.runs import RunError, resume_sweep, sweep
from fdl.runs.listing import look_at
from fdl.runs.members import Members
from fdl.runs.part import part_files, read_part
from fdl.runs.weights import named_variables
from fdl.tasks.choices import OPTIMIZERS
from fdl.train import many

SMALL = {
    "dataset": "mnist-5k",
    "epochs": 3,
    "batch_size": 20,
    "hidden_sizes": (4,),
    "strategy": "vmap",
    "grid": {"learning_rate": [1e-3, 1e-2, 1e36]},  # the last one diverges
}


def kill(*_):
    raise Killed


@pytest.fixture(autouse=True, scope="module")
def _few_digits_and_no_pictures():
    with few_digits_and_no_pictures():
        yield


def cut_off(path, count, **options):
    """Sweep until `count` epochs of chunks are trained; return their rows."""
    seen, made = [], []

    def on_rows(rows):
        seen.extend(rows)
        made.append(rows)
        if len(made) == count:
            raise Killed

    with pytest.raises(Killed):
        sweep("mlp", path=path, on_rows=on_rows, **{**SMALL, **options})
    return seen


@pytest.mark.parametrize(
    ("strategy", "halving", "epochs"),
    [("vmap", True, 1), ("map", False, 2)],  # both values of each of the three
)
def test_a_chunk_resumes_from_its_last_epoch(
    tmp_path, strategy, halving, epochs
) -> None:
    options = {**SMALL, "strategy": strategy, "members_per_chunk": 3}
    options |= {"halving": halving}
    whole = sweep("mlp", path=tmp_path / "whole", **options)
    assert whole.outcomes[-1].diverged == 1
    path, after = tmp_path / "cut", []
    before = cut_off(path, epochs, **options)
    assert look_at(path).epochs == len(before)
    if epochs == 1:
        again = sweep("mlp", path=path, on_rows=after.extend, **options)
    else:
        again = resume_sweep(path, on_rows=after.extend)
    assert after
    assert len(before) + len(after) == len(whole.rows), "no epoch is trained twice"
    assert again.rows == whole.rows
    assert content(path) == content(tmp_path / "whole")


def test_resumed_chunks_keep_their_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(many, "chunk_size", lambda *_: 2)
    cut_off(tmp_path, 2)
    monkeypatch.setattr(many, "chunk_size", lambda *_: 1)  # as with less memory
    resume_sweep(tmp_path)
    parts = [read_part(files[0]) for files in part_files(tmp_path / "parts").values()]
    assert sorted((part.members, part.size) for part in parts) == [
        ([0, 1], 2),
        ([2], 2),
    ]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A finished sweep of two chunks."""
    path = tmp_path_factory.mktemp("ended") / "sweep"
    sweep("mlp", path=path, members_per_chunk=2, **SMALL)
    return path


@pytest.fixture
def left(ended, tmp_path):
    shutil.copytree(ended, tmp_path / "left")
    return tmp_path / "left"


def flipped(content, place):
    changed = bytearray(content)
    changed[int(place * len(changed))] ^= 1
    return bytes(changed)


DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "a bit of the numbers": lambda content: flipped(content, 0.9),
    "a bit of the names": lambda content: flipped(content, 0.01),
}


@pytest.mark.parametrize("kind", [*DAMAGE, "missing"])
def test_a_damaged_part_is_named_and_trained_from_scratch(left, ended, kind) -> None:
    *_, part = sorted((left / "parts").iterdir())
    rows = []
    if kind == "missing":
        part.unlink()
        resume_sweep(left, on_rows=rows.extend)
    else:
        part.write_bytes(DAMAGE[kind](part.read_bytes()))
        with pytest.warns(
            UserWarning, match=f"{part} is damaged.* are trained from scratch"
        ):
            resume_sweep(left, on_rows=rows.extend)
    assert {row["member"] for row in rows} == {2}
    assert content(left) == content(ended)


def test_if_the_last_epoch_is_damaged_the_previous_one_is_used(tmp_path) -> None:
    options = {**SMALL, "members_per_chunk": 3}
    whole = sweep("mlp", path=tmp_path / "whole", **options)
    cut_off(tmp_path / "cut", 2, members_per_chunk=3)
    _, last = sorted((tmp_path / "cut" / "parts").iterdir())
    last.write_bytes(DAMAGE["a bit of the numbers"](last.read_bytes()))
    rows = []
    with pytest.warns(UserWarning, match=f"{last} is damaged.* trained from epoch 1"):
        resume_sweep(tmp_path / "cut", on_rows=rows.extend)
    assert {row["epoch"] for row in rows} == {2, 3}
    assert content(tmp_path / "cut") == content(whole.path)


@pytest.mark.parametrize("gone", ["config.json", "*"])
def test_files_made_of_the_parts_are_written_again(left, ended, gone) -> None:
    table = (left / "members.csv").read_text().splitlines()
    (left / "members.csv").write_text("\n".join(table[:4]))
    (left / "result.json").write_text('{"seconds"')
    for place in sorted((left / "best").glob(gone)):
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    (left / "best" / "notes.txt").write_text("mine")
    (left / ".best").mkdir()  # left by an interrupted start
    resume_sweep(left, on_rows=kill)
    assert content(left) == content(ended)
    assert (left / "best" / "notes.txt").read_text() == "mine"
    assert not (left / ".best").exists()


def test_a_finished_sweep_keeps_its_seconds_and_counts(left) -> None:
    before = json.loads((left / "result.json").read_text())
    assert before["epochs_trained"] == 3 + 3 + 1
    assert before["seconds"] > 0
    resume_sweep(left)
    assert json.loads((left / "result.json").read_text()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda config: config["versions"].update(jax="0.1"),
            r'other versions: jax was "0\.1" and is .*--allow-changes',
        ),
        (
            lambda config: config["data"].update(checksum="0"),
            'other data: checksum was "0" and is .*Use the data',
        ),
        (lambda config: config.update(epochs=4), "has members with other settings"),
        (lambda config: config.pop("data"), r"config\.json lacks data"),
        (lambda config: config["sweep"].update(grid=3), r"config\.json is damaged"),
        (lambda config: config.pop("sweep"), "contains a run, not a sweep"),
    ],
)
def test_changes_that_affect_results_are_refused(left, change, message) -> None:
    edit(left, change)
    before = sorted(left.rglob("*"))
    with pytest.raises(RunError, match=message):
        resume_sweep(left)
    assert sorted(left.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 2}, "another sweep: seeds was 1 and is 2.*fdl sweep --run"),
        ({"learning_rate": 0.1}, r"learning_rate was 0\.001 and is 0\.1"),
        ({"members_per_chunk": 3}, "other flags: members_per_chunk was 2 and is 3"),
        ({"batch_size": 10}, "batch_size was 20 and is 10"),
    ],
)
def test_another_sweep_is_refused_with_its_differences(left, change, message) -> None:
    with pytest.raises(RunError, match=message):
        sweep("mlp", path=left, **{**SMALL, "members_per_chunk": 2, **change})


def test_moved_data_and_allowed_changes_are_accepted(left) -> None:
    edit(left, lambda config: config["data"].update(source="files in /elsewhere"))
    edit(left, lambda config: config.update(data_dir="/elsewhere"))
    edit(left, lambda config: config["versions"].update(jax="0.1"))
    with pytest.raises(Killed):
        resume_sweep(left, allow_changes=True, on_start=kill)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_state_of_a_member_contains_that_of_a_run(tmp_path, optimizer) -> None:
    settings = {"clip_norm": (0.0, 1.0), "ema": (0.0, 0.9), "weight_decay": (0.0, 0.1)}
    if OPTIMIZERS[optimizer].momentum is not None:
        settings["momentum"] = (0.0, 0.9)
    task = tasks.find("mlp")
    config = task.config(dataset="mnist-5k", optimizer=optimizer)
    plain, other = (
        dataclasses.replace(config, **{name: x[i] for name, x in settings.items()})
        for i in (0, 1)
    )
    members = Members(task, [plain, other], few(), tmp_path)
    shared = named_variables(members.outline(0).state)
    own = named_variables(tasks.outline(task, plain, members.dataset.info).state)
    assert len(own) < len(shared)
    assert {name: shared[name] for name in own} == own


def test_a_best_member_without_momentum_is_restored_as_a_run(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(Members, "best", lambda members: 0)
    options = {**SMALL, "grid": {"momentum": [0.0, 0.9]}, "epochs": 1}
    found = sweep("mlp", path=tmp_path, optimizer="sgd", **options)
    content(found.path)
