"""A resumed run ends as if it had never been interrupted."""

import shutil
import threading

import jax
import numpy as np
import pytest
from small import edit, few

import fdl
from fdl import data
from fdl.runs import RunError, RunFolder, resume, train
from fdl.runs.job import Job
from fdl.runs.novelty import load_detector
from fdl.runs.seen import load_seen

SETTINGS = {
    "dataset": "mnist-5k",
    "epochs": 12,
    "batch_size": 40,  # divides the 120 examples, so one program
    "hidden_sizes": (8,),
    "learning_rate": 0.02,
}


class Killed(BaseException):
    """Raised where a process is killed."""


@pytest.fixture(scope="module", autouse=True)
def _few_small_digits():
    """Train on images of 7 x 7 pixels, as many as the novelty detector needs."""
    digits = few(120)
    parts = {
        name: part._replace(image=part.image[:, ::4, ::4])
        for name in ("train", "validation", "test")
        for part in [getattr(digits, name)]
    }
    info = digits.info._replace(input_shape=(7, 7, 1))
    small = digits._replace(**parts, info=info)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *args, **options: small)
        yield


def cut_off(path, after, **options):
    def kill(line, state):
        if line.epoch == after:
            raise Killed

    with pytest.raises(Killed):
        train("mlp", path=path, on_epoch=kill, **options)


def timeless(history):
    return [line._replace(seconds=0) for line in history]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = train(
        "mlp", path=tmp_path_factory.mktemp("whole"), early_stopping=2, **SETTINGS
    )
    assert 1 < run.result["epochs"] < run.result["epochs_trained"]
    return run


@pytest.fixture(scope="module")
def cut(tmp_path_factory, whole):
    """The folder of a run that was killed one epoch after its best."""
    path = tmp_path_factory.mktemp("cut")
    cut_off(path, whole.result["epochs"] + 1, early_stopping=2, **SETTINGS)
    return path


@pytest.fixture
def left(cut, tmp_path):
    shutil.copytree(cut, tmp_path / "left")
    return tmp_path / "left"


def require_same(run, whole):
    assert (run.path / "weights.safetensors").read_bytes() == (
        whole.path / "weights.safetensors"
    ).read_bytes()
    same = jax.tree.map(np.array_equal, run.state.opt_state, whole.state.opt_state)
    assert jax.tree.all(same)
    assert timeless(run.history) == timeless(whole.history)
    assert timeless(fdl.load(run.path).history) == timeless(whole.history)
    for name in ("metrics", "validation", "epochs", "epochs_trained", "parameters"):
        assert run.result[name] == whole.result[name]
    assert (run.path / "curves.png").is_file()


def test_a_resumed_run_equals_an_uninterrupted_one(left, whole, monkeypatch) -> None:
    lines, drawn = [], []
    monkeypatch.setattr(Job, "_draw", lambda job, state, epoch: drawn.append(epoch))
    run = resume(left, on_epoch=lambda line, state: lines.append(line))
    require_same(run, whole)
    again = lines[0].epoch - 1
    assert drawn == [again, *(line.epoch for line in lines)], "a kill may precede it"
    assert lines == list(run.history[whole.result["epochs"] + 1 :])
    with pytest.raises(RunError, match="is complete: there is nothing to resume"):
        resume(left)


def test_a_run_killed_before_its_first_epoch_starts_over(tmp_path, whole) -> None:
    def kill(steps):
        raise Killed

    with pytest.raises(Killed):
        train("mlp", path=tmp_path, early_stopping=2, on_start=kill, **SETTINGS)
    require_same(resume(tmp_path), whole)


def test_a_damaged_checkpoint_costs_an_epoch_and_a_cut_off_line_nothing(
    left, whole
) -> None:
    with (left / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 9, "st')
    last = max((left / "checkpoints").iterdir(), key=lambda path: int(path.name))
    (last / "_METADATA").write_text("{}")
    (left / f".{'0a' * 8}.part").write_text("not all of")
    log, logged = left / "metrics.jsonl", []
    with pytest.warns(UserWarning, match=f"{last.name} cannot .* is used instead"):
        run = resume(left, on_start=lambda _: logged.append(log.read_text()))
    require_same(run, whole)
    assert not list(left.glob(".*.part"))
    assert len(logged[0].splitlines()) == whole.result["epochs"], "as the checkpoint"


def test_training_continues_while_a_state_is_written(tmp_path, monkeypatch) -> None:
    """The state is written as it was, although training donates its buffers."""
    keep, may_write, after = RunFolder.keep, threading.Event(), []

    def wait(folder, moment, **options):
        assert may_write.wait(30)
        keep(folder, moment, **options)

    def listen(step, metrics, state):
        if step == 4:  # an epoch has 3 steps
            may_write.set()

    monkeypatch.setattr(RunFolder, "keep", wait)
    run = train(
        "mlp",
        path=tmp_path,
        on_chunk=listen,
        on_epoch=lambda line, state: after.append(jax.tree.map(np.array, state.params)),
        **SETTINGS | {"epochs": 2},
    )
    for step, params in zip((3, 6), after, strict=True):
        kept = RunFolder(tmp_path).checkpoints.restore(step, run.state)
        jax.tree.map(np.testing.assert_array_equal, kept.params, params)


def forget(path):
    (path / "result.json").unlink()
    (path / "curves.png").unlink()


def spoil(path):
    content = bytearray((path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "weights.safetensors").write_bytes(content)


def change_a_digit(path, name="result.json"):
    content = bytearray((path / name).read_bytes())
    content[content.index(b"0.") + 2] ^= 1
    (path / name).write_bytes(content)


def lose_a_picture(path):
    (path / "curves.png").unlink()


@pytest.mark.parametrize("change", [forget, spoil, change_a_digit, lose_a_picture])
def test_files_missing_from_a_finished_run_are_written_again(
    whole, tmp_path, change
) -> None:
    """As after a kill while its last files are written."""
    shutil.copytree(whole.path, tmp_path / "x")
    change(tmp_path / "x")
    require_same(resume(tmp_path / "x"), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda config: config["versions"].update(jax="0.1"),
            'other versions: jax was "0.1" and is .*--allow-changes',
        ),
        (
            lambda config: config.update(environment={"platform": "gpu"}),
            'other environment: platform was "gpu" and is .*--allow-changes',
        ),
        (
            lambda config: config["data"].update(checksum="0"),
            'other data: checksum was "0" and is .*Use the data',
        ),
    ],
)
def test_changes_that_affect_results_are_refused(left, change, message) -> None:
    edit(left, change)
    before = sorted(path.name for path in left.iterdir())
    with pytest.raises(RunError, match=message):
        resume(left)
    assert sorted(path.name for path in left.iterdir()) == before


def test_a_changed_number_is_found_in_any_file(whole, tmp_path) -> None:
    path = shutil.copytree(whole.path, tmp_path / "x")
    for name in ("config.json", "result.json", "metrics.jsonl"):
        before = (path / name).read_bytes()
        change_a_digit(path, name)
        with pytest.raises(
            RunError, match=f"{name} is damaged: its checksum does not match"
        ):
            fdl.load(path)
        (path / name).write_bytes(before)
    for name in ("weights.safetensors", "seen.safetensors", "novelty.safetensors"):
        content = bytearray((path / name).read_bytes())
        content[-1] ^= 1
        (path / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=f"{name} is damaged: its checksum does not match"
        ):
            load_seen(path), load_detector(path), fdl.load(path)
        (path / name).unlink()


def test_other_versions_resume_if_changes_are_allowed(left, whole) -> None:
    edit(left, lambda config: config["versions"].update(jax="0.1"))
    require_same(resume(left, allow_changes=True), whole)


def test_if_every_checkpoint_is_damaged_nothing_is_lost(left) -> None:
    for place in (left / "checkpoints").iterdir():
        (place / "_METADATA").unlink()
    lines = (left / "metrics.jsonl").read_text()
    with pytest.raises(RunError, match=r"_METADATA is missing.*train the run again"):
        resume(left)
    assert (left / "metrics.jsonl").read_text() == lines


def test_a_folder_without_a_run_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no config\.json"):
        resume(tmp_path)


def test_a_resumed_run_uses_its_initial_weights_again(tmp_path, whole) -> None:
    whole.export(tmp_path / "start.weights.h5")
    options = SETTINGS | {"epochs": 1, "seed": 1}
    start = {"init_from": tmp_path / "start.weights.h5"}
    straight = train("mlp", path=tmp_path / "straight", **start, **options)

    def kill(steps):
        raise Killed

    with pytest.raises(Killed):
        train("mlp", path=tmp_path / "cut", on_start=kill, **start, **options)
    shutil.copytree(tmp_path / "cut", tmp_path / "early")
    shutil.rmtree(tmp_path / "early" / "checkpoints")  # as if killed before these
    (tmp_path / "early" / "seen.safetensors").unlink()
    run = resume(tmp_path / "early")
    require_same(run, straight)
    start["init_from"].unlink()  # not needed once the run has a checkpoint
    require_same(resume(tmp_path / "cut"), straight)
    seen = [(one.path / "seen.safetensors").read_bytes() for one in (run, straight)]
    assert seen[0] == seen[1]
    assert run.config == straight.config
