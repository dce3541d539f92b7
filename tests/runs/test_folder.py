"""The files of a run: written, read back, and refused when they do not fit."""

import json
import os
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from safetensors.numpy import load_file, save_file

import fdl
from fdl.export import write_safetensors
from fdl.runs import RunError, RunFolder, fresh_path, load_weights, save_weights
from fdl.runs.checkpoints import Checkpoint
from fdl.train import Epoch
from fdl.weights import WeightsError

LINE = Epoch(1, 7, True, {"loss": 1.0}, {"loss": 2.0}, 0.5)
DATA = fdl.Batch(np.zeros((2, 5, 2, 1), np.float32), np.arange(2))


@pytest.fixture(scope="module")
def learner():
    return fdl.learners.supervised(
        fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
    )


@pytest.fixture
def state(learner):
    return jax.jit(learner.init)(jax.random.key(0), DATA)


@pytest.fixture
def other(learner):
    return jax.jit(learner.init)(jax.random.key(1), DATA)


def same(a, b) -> None:
    """Assert that two states are bitwise the same."""
    raw = lambda state: state._replace(key=jax.random.key_data(state.key))
    jax.tree.map(np.testing.assert_array_equal, raw(a), raw(b))


def test_config_history_state_and_weights_are_stored(tmp_path, state, other) -> None:
    folder = RunFolder.create(tmp_path / "a" / "run", {"seed": 3})
    lines = (LINE, LINE._replace(epoch=2))
    folder.keep(Checkpoint(state, lines[:1]))
    folder.keep(Checkpoint(state._replace(step=state.step + 7), lines))
    written = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in written] == [1, 2]
    again = RunFolder.open(folder.path)
    assert again.config() == {"seed": 3}
    restored = again.checkpoints.restore(None, like=other)
    assert int(restored.step) == 7
    same(restored._replace(step=state.step), state)
    assert again.history() == lines
    assert again.result() is None
    loaded = load_weights(again.weights, other)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, state.params)
    assert not list(folder.path.rglob("*.part"))


def test_weights_are_named_by_their_path(tmp_path, state) -> None:
    save_weights(tmp_path / "w.safetensors", state)
    found = load_file(tmp_path / "w.safetensors")
    assert sorted(found) == [
        "params/dense1/bias",
        "params/dense1/kernel",
        "params/head/bias",
        "params/head/kernel",
    ]
    np.testing.assert_array_equal(
        found["params/head/kernel"], state.params["head"]["kernel"]
    )


def test_arrays_are_written_in_order_whatever_their_memory_layout(
    tmp_path, state
) -> None:
    turned = lambda x: np.asarray(x)[::-1].T
    params = jax.tree.map(turned, state.params)
    save_weights(tmp_path / "w.safetensors", state._replace(params=params))
    found = load_file(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(found["params/head/kernel"], params["head"]["kernel"])
    write_safetensors(tmp_path / "x.safetensors", {"a": params["head"]["kernel"]})
    found = load_file(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(found["a"], params["head"]["kernel"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w.pop("params/head/bias"), r"lacks params/head/bias, float32\[10\]"),
        (lambda w: w.update(x=np.ones(1)), "contains x, which the model does not have"),
        (
            lambda w: w.update({"params/head/bias": np.ones(9, np.float32)}),
            r"params/head/bias as float32\[9\], but the model needs float32\[10\]",
        ),
        (
            lambda w: w.update({"params/head/bias": np.ones(10)}),
            r"as float64\[10\], but the model needs float32\[10\]",
        ),
    ],
)
def test_refuses_weights_of_another_model(tmp_path, state, spoil, message) -> None:
    file = tmp_path / "w.safetensors"
    save_weights(file, state)
    weights = load_file(file)
    spoil(weights)
    save_file(weights, file)
    with pytest.raises(WeightsError, match=message):
        load_weights(file, state)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_refuses_damaged_weights(tmp_path, state, keep) -> None:
    file = tmp_path / "w.safetensors"
    save_weights(file, state)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(file, state)


def test_overwrites_nothing_by_default(tmp_path) -> None:
    folder = RunFolder.create(tmp_path / "run", {"seed": 1})
    with pytest.raises(RunError, match="--overwrite"):
        RunFolder.create(folder.path, {"seed": 2})
    assert folder.config() == {"seed": 1}
    with pytest.raises(RunError, match="is a file"):
        RunFolder.create(folder.path / "config.json", {}, overwrite=True)


def test_accepts_an_empty_folder(tmp_path) -> None:
    assert RunFolder.create(tmp_path, {"seed": 1}).config() == {"seed": 1}


def test_refuses_folders_that_hold_no_run(tmp_path, state) -> None:
    with pytest.raises(RunError, match="no config"):
        RunFolder.open(tmp_path)
    folder = RunFolder.create(tmp_path, {})
    with pytest.raises(RunError, match="no weights"):
        folder.load(state)
    with pytest.raises(RunError, match="has no checkpoint"):
        folder.checkpoints.restore(None, like=state)
    for content in ("", "{", "[1]"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(RunError, match="is damaged"):
            folder.config()


def test_keeps_the_last_checkpoints_and_the_best(tmp_path, state) -> None:
    folder = RunFolder.create(tmp_path, {})
    for step in (7, 14, 21, 28, 100):
        folder.keep(Checkpoint(state._replace(step=state.step + step)), best=7)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["100", "21", "28", "7"]
    assert int(folder.checkpoints.restore(None, like=state).step) == 100


def test_a_state_is_restored_whole(tmp_path, state) -> None:
    """`State.extra` is restored from the same step as the weights."""
    at = lambda step: state._replace(
        step=state.step + step,
        params=jax.tree.map(lambda x: x + step, state.params),
        extra={"average": jnp.float32(step)},
    )
    folder = RunFolder.create(tmp_path, {})
    for step in (7, 14, 21, 28):
        folder.keep(Checkpoint(at(step)), best=7)
    save_weights(folder.weights, at(7))
    loaded, _ = folder.load(at(0))
    same(loaded, at(7))
    assert loaded.extra["average"] == 7


def test_a_state_of_another_learner_is_refused(tmp_path, state) -> None:
    folder = RunFolder.create(tmp_path, {})
    state = state._replace(extra={"average": jnp.float32(1)})
    folder.keep(Checkpoint(state))
    with pytest.raises(RunError, match="cannot be restored: it lacks extra"):
        folder.checkpoints.restore(0, state._replace(extra={"another": jnp.float32(1)}))
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(RunError, match=f"{tmp_path}/checkpoints has no checkpoint"):
        folder.load(state)
    without = state._replace(extra={})
    same(folder.load(without)[0], without)  # which needs no checkpoint


@pytest.mark.parametrize("name", ["metrics.jsonl", "result.json"])
def test_damaged_records_are_refused(tmp_path, name) -> None:
    folder = RunFolder.create(tmp_path, {})
    (tmp_path / name).write_text('{"epoch": \n')
    with pytest.raises(RunError, match=f"{name} is damaged"):
        folder.history() if name == "metrics.jsonl" else folder.result()


def test_overwriting_keeps_the_folder_itself(tmp_path, monkeypatch) -> None:
    """It may be a link, or the current folder."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "here")
    for path in (tmp_path / "link", tmp_path / "here"):
        RunFolder.create(path, {"seed": 1})
        inode = os.stat(path).st_ino
        new = RunFolder.create(path, {"seed": 2}, overwrite=True).settle()
        assert os.stat(path).st_ino == inode
        assert new.config() == {"seed": 2}
    assert (tmp_path / "link").is_symlink()


def test_runs_that_start_together_get_separate_folders(tmp_path) -> None:
    gate, made = threading.Barrier(8), []

    def start() -> None:
        gate.wait()
        made.append(RunFolder.create(fresh_path(tmp_path, "cnn"), {}).path)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8
