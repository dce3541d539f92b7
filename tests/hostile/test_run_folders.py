"""Untrusted run folders: each fault of a file is named in one line."""

import json
import shutil

import numpy as np
import pytest

from bounds import refused
from cli.shell import complaint, fdl
from fdl import tasks
from fdl.data import load
from fdl.keras import save_weights as save_keras_weights
from fdl.learner import State
from fdl.runs import RunError, RunFolder, open_run, save_weights
from fdl.runs.record import record
from fdl.runs.start import start_from
from fdl.weights import WeightsError


@pytest.fixture(scope="module")
def trained():
    task, info = tasks.find("mlp"), load("mnist-5k").info
    return tasks.outline(task, task.config(dataset="mnist-5k", epochs=1), info)


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    """A run folder with the files of a trained run, but random weights."""
    path = tmp_path_factory.mktemp("runs") / "a"
    about = record(tasks.find("mlp"), trained.config, trained.info, None)
    about |= {"init_from": None, "early_stopping": None}
    folder = RunFolder.create(path, about)
    save_weights(folder.weights, tasks.draw_state(trained))
    folder.write_json("result.json", {"metrics": {"accuracy": 0.5}})
    return path


@pytest.fixture
def run(written, tmp_path):
    return shutil.copytree(written, tmp_path / "a")


def spoil(run, name="config.json", **changes) -> None:
    """Change members of a JSON file; `data__means` is member `means` of `data`."""
    file = run / name
    members = json.loads(file.read_text())
    members.pop("sha256", None)
    for key, value in changes.items():
        *above, last = key.split("__")
        place = members
        for each in above:
            place = place[each]
        place[last] = value
    file.write_text(json.dumps(members))


CONFIGS = [
    ({"options": 3}, "options=3 must be an object"),
    ({"options": {"hidden_sizes": 3}}, "options.hidden_sizes=3 must be a list, each"),
    ({"options": {"dropout_rate": "a"}}, "options.dropout_rate='a' must be a number"),
    ({"data": ["a"]}, r"data=\['a'\] must be an object"),
    ({"data_dir": 3}, "data_dir=3 must be text or null"),
    ({"dataset": 3}, "dataset=3 must be text"),
    ({"task": 3}, "task=3 must be text"),
    ({"epochs": 1.5}, "epochs=1.5 must be a whole number"),
    ({"epochs": True}, "epochs=True must be a whole number"),
    ({"epochs": 10**400}, "has 401 digits"),
    ({"learning_rate": float("inf")}, "learning_rate=inf must be a number"),
    ({"learning_rate": -1}, "learning_rate=-1.0 must be above 0"),
    ({"trained_on": [1]}, r"trained_on=\[1\] must be a list, each text"),
    ({"mode": "up"}, "mode='up' must be one of max, min"),
    ({"versions": {"jax": 3}}, "must be an object, each member text"),
    ({"data__class_names": ["a"]}, "data.class_names has 1 names, but data.num_clas"),
    ({"data__class_names": None}, "data.class_names=None must be a list, each text"),
    ({"data__class_names": [*range(10)]}, "each text"),
    ({"data__num_classes": 0, "data__class_names": []}, "has 0 names"),
    ({"data__train_count": -1}, "data.train_count=-1 must be at least 0"),
    ({"data__input_shape": [1 << 40, 1, 1]}, "data.input_shape=.*at most 50,000,000"),
    ({"data__input_shape": [0, 28, 1]}, "sides of at least 1"),
    ({"data__input_shape": [28]}, "must have 3 sides"),
    ({"data__kind": "sound"}, "data.kind='sound' must be one of image, vector"),
    ({"data__means": [1.0]}, "data.means has 1 numbers, and data.deviations 0"),
    ({"options__hidden_sizes": [1 << 40]}, r"must be in \[1, 100000\]"),
    ({"options__hidden_sizes": [0]}, r"must be in \[1, 100000\]"),
    ({"options__hidden_sizes": [1] * 300}, "has 300 sizes"),
    ({"task": "lstm", "options": {"num_layers": 100_000}}, r"in \[1, 256\]"),
    ({"options__hidden_sizes": [99_999]}, r"dense1/bias as float32\[128\], but"),
    ({"task": "cnn"}, "cannot be|lacks params/conv1"),
    ({"task": "transformer", "options": {"num_heads": 5}}, "num_heads=5 must divide"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), CONFIGS)
def test_bad_configs_are_refused_by_member(run, changes, words) -> None:
    spoil(run, **changes)
    with refused(ValueError, words):
        open_run(run)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 500 + "]" * 500, "nested too deeply"),
        ("[]", "is not a JSON object"),
        ("", "Expecting value"),
        (" " * (1 << 26), "more than 33,554,432 bytes"),
    ],
)
def test_files_that_are_not_json_objects_are_refused(run, content, words) -> None:
    for name in ("config.json", "result.json"):
        (run / name).write_text(content)
        with refused(RunError, f"{name} is damaged: .*{words}", mib=256):
            RunFolder(run).config() if name == "config.json" else RunFolder(
                run
            ).result()


def test_every_command_names_the_fault_in_one_line(run, tmp_path, capsys) -> None:
    spoil(run, options=3)
    for words in (
        f"eval {run}",
        f"predict {run} a.png",
        f"generate {run}",
        f"export {run} --to {tmp_path}/a.onnx",
        f"train mlp --dataset mnist-5k --init-from {run}",
    ):
        assert "options=3 must be an object" in complaint(words.split(), capsys)
    (run / "result.json").unlink()
    line = complaint(f"train --resume {run}".split(), capsys)
    assert "options=3 must be an object" in line
    log = {"epoch": 1, "step": "a", "running": True, "train": {}, "validation": {}}
    (run / "metrics.jsonl").write_text(json.dumps(log | {"seconds": 1.0}) + "\n")
    assert "is damaged" in complaint(["watch", run], capsys)
    assert "damaged" in fdl("runs", tmp_path, cwd=tmp_path).stdout
    spoil(run, task=3)
    assert "no such runs" in fdl("runs", tmp_path, cwd=tmp_path).stdout


# Weights and predictions that are not finite


def filled(state: State, value: float) -> State:
    bias = state.params["head"]["bias"]
    head = {**state.params["head"], "bias": np.full_like(bias, value)}
    return state._replace(params={**state.params, "head": head})


def test_weights_that_are_not_finite_are_refused(run, trained, tmp_path) -> None:
    state = tasks.draw_state(trained)
    for value in (np.nan, np.inf):
        save_weights(run / "weights.safetensors", filled(state, value))
        with refused(WeightsError, "NaN or infinity among the 10 values of params/hea"):
            open_run(run)
    file, image = tmp_path / "a.keras", np.zeros((1, 28, 28, 1), np.float32)
    variables = filled(state, np.nan).variables
    save_keras_weights(file, trained.model, variables, image)
    with refused(WeightsError, "a.keras has NaN or infinity"):
        start_from(tasks.find("mlp"), trained, file)


def test_predictions_that_are_not_finite_are_refused(run, trained, capsys) -> None:
    state = tasks.draw_state(trained)
    huge = state._replace(params=_times(state.params, 1e38))
    save_weights(run / "weights.safetensors", huge)
    np.save(run / "a.npy", load("mnist-5k").test.image[0])
    for more in ([], ["--json"]):
        line = complaint(["predict", run, run / "a.npy", *more], capsys)
        assert "is not finite: its weights are unusable" in line
    done = fdl("eval", run, cwd=run, code=1)
    assert "test loss" in done.stdout
    assert "the loss of" in done.stderr


def _times(tree, factor):
    if isinstance(tree, dict):
        return {name: _times(each, factor) for name, each in tree.items()}
    return np.asarray(tree) * np.float32(factor)


# What commands print


def test_names_do_not_control_the_terminal(run, tmp_path, capsys) -> None:
    spoil(run, dataset="\x1b[31mred\x07\u202e")
    table = fdl("runs", tmp_path, cwd=tmp_path).stdout
    assert "\\x1b[31" in table
    assert "\x1b" not in table
    line = complaint(["eval", run], capsys)
    assert "\\x1b[31mred" in line
    assert "\x1b" not in line
    assert "\\udcff" in complaint(["eval", "\udcff"], capsys)


def test_error_messages_are_cut_off(capsys) -> None:
    assert len(complaint(["eval", "a" * 100_000], capsys)) < 5000


def test_commands_print_which_data_they_read(run, tmp_path) -> None:
    spoil(run, data_dir=str(tmp_path))
    done = fdl("eval", run, cwd=run)
    assert f"reading mnist-5k in {tmp_path}, as recorded in {run}" in done.stderr
    done = fdl("eval", run, "--data-dir", tmp_path, cwd=run)
    assert "reading" not in done.stderr
    done = fdl("train", "--resume", run, cwd=run, code=2)
    assert f"reading mnist-5k in {tmp_path}, as recorded in {run}" in done.stderr
    spoil(run, sweep={}, dataset="npz:a")
    done = fdl("sweep", "--run", run, "--data-dir", tmp_path, cwd=run, code=2)
    assert f"reading npz:a, as recorded in {run}" in done.stderr


def test_settings_that_are_nested_too_deeply_are_refused(tmp_path, capsys) -> None:
    file = tmp_path / "a.toml"
    for content in ("a = " + "[" * 9999, "a = " + "[" * 120 + "]" * 120):
        file.write_text(content)
        line = complaint(["train", "mlp", "--config", file], capsys)
        assert "nested too deeply" in line
