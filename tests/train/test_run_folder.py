"""What a run leaves on disk, and how it comes back."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_fit import make_data, make_learner, same

from fdl.train import (
    Epoch,
    RunError,
    RunFolder,
    WeightsError,
    load_weights,
    save_weights,
)

LINE = Epoch(1, 7, {"loss": 1.0}, {"loss": 2.0}, 0.5)


@pytest.fixture(scope="module")
def learner():
    return make_learner()


@pytest.fixture
def state(learner):
    return jax.jit(learner.init)(jax.random.key(0), make_data())


@pytest.fixture
def other(learner):
    return jax.jit(learner.init)(jax.random.key(1), make_data())


def test_keeps_config_lines_state_and_weights(tmp_path, state, other) -> None:
    folder = RunFolder.create(tmp_path / "a" / "run", {"seed": 3})
    folder.log(LINE, state)
    folder.log(LINE._replace(epoch=2), state._replace(step=state.step + 7))
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    again = RunFolder.open(folder.path)
    assert again.config() == {"seed": 3}
    restored = again.restore(like=other)
    assert int(restored.step) == 7
    same(restored._replace(step=state.step), state)
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


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w.pop("params/head/bias"), r"lacks params/head/bias, float32\[10\]"),
        (lambda w: w.update(x=np.ones(1)), "has x, which the model has not"),
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


def test_never_overwrites_unasked(tmp_path) -> None:
    folder = RunFolder.create(tmp_path / "run", {"seed": 1})
    with pytest.raises(RunError, match="--overwrite"):
        RunFolder.create(folder.path, {"seed": 2})
    assert folder.config() == {"seed": 1}
    (folder.path / "metrics.jsonl").write_text("old\n")
    new = RunFolder.create(folder.path, {"seed": 2}, overwrite=True)
    assert new.config() == {"seed": 2}
    assert sorted(p.name for p in new.path.iterdir()) == ["config.json"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_never_deletes_what_is_not_a_run(tmp_path, overwrite) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(RunError, match="not a run"):
        RunFolder.create(tmp_path, {}, overwrite=overwrite)
    with pytest.raises(RunError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.txt", {}, overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "dear"


def test_takes_an_empty_folder(tmp_path) -> None:
    assert RunFolder.create(tmp_path, {"seed": 1}).config() == {"seed": 1}


def test_refuses_folders_that_hold_no_run(tmp_path, state) -> None:
    with pytest.raises(RunError, match="no config"):
        RunFolder.open(tmp_path)
    folder = RunFolder.create(tmp_path, {})
    with pytest.raises(RunError, match="no weights"):
        RunFolder.open(tmp_path)
    with pytest.raises(RunError, match="no checkpoints"):
        folder.restore(like=state)
    for content in ("", "{", "[1]"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(RunError, match="is damaged"):
            folder.config()
