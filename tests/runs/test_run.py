"""Runs as library calls: train, load, evaluate, predict and summarize."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import fdl
from fdl import tasks
from fdl.runs import RunError, configure, train
from fdl.runs.folder import RunFolder

SMALL = {"dataset": "mnist-5k", "epochs": 1, "batch_size": 303}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def calls():
    """Calls of the callbacks of training, by name."""
    return {"start": [], "chunk": [], "epoch": [], "finish": []}


@pytest.fixture(scope="module")
def run(home, calls):
    options = {**SMALL, "epochs": 2, "seed": 3}
    return train(
        "mlp",
        **options,
        path=home / "mlp",
        on_start=calls["start"].append,
        on_finish=lambda: calls["finish"].append(len(calls["epoch"])),
        on_chunk=lambda step, metrics, state: calls["chunk"].append(step),
        on_epoch=lambda line, state: calls["epoch"].append(line),
        seconds={"import": 0.5},
    )


def test_training_calls_its_callbacks(run, calls) -> None:
    (plan,) = calls["start"]
    assert (plan.path, plan.steps, plan.made) == (run.path, 11, 0)
    assert plan.parameters == run.result["parameters"] == 101_770
    assert calls["finish"] == [2], "after the last epoch"
    assert calls["chunk"] == list(range(1, 23))
    assert calls["epoch"] == list(run.history)


def test_a_run_is_loaded_by_the_program_that_began_its_training(
    tmp_path, caplog
) -> None:
    # Trained here: between tests, programs may be freed.
    run = train("mlp", **SMALL, learning_rate=0.02, path=tmp_path / "run")
    caplog.clear()
    with jax.log_compiles():
        fdl.load(run.path)
        assert "XLA compilation" not in caplog.text
        jax.jit(lambda x: x + 1)(1.0)
    assert "XLA compilation" in caplog.text, "JAX says what it compiles"


def test_a_loaded_run_equals_the_trained_one(run, home) -> None:
    again = fdl.load(str(home / "mlp"))
    assert again.task is run.task
    assert again.task.name == "mlp"
    assert (
        again.config
        == run.config
        == configure("mlp", **SMALL | {"epochs": 2, "seed": 3})
    )
    assert again.info == run.info
    assert again.history == run.history
    assert [line.epoch for line in again.history] == [1, 2]
    assert again.result == run.result
    assert again.result["seconds"]["import"] == 0.5
    assert (again.path, again.data_dir) == (home / "mlp", None)
    jax.tree.map(np.testing.assert_array_equal, again.variables, run.variables)
    assert sorted(again.variables) == ["params"]


def test_a_loaded_run_evaluates_and_predicts(run, home) -> None:
    again = fdl.load(home / "mlp")
    test = again.dataset().test
    assert again.evaluate() == pytest.approx(run.result["metrics"])
    few = jax.tree.map(lambda x: x[:100], test)
    output = again.predict(few.image)
    assert output.shape == (100, 10)
    right = np.mean(output.argmax(axis=-1) == few.label)
    assert again.evaluate(few)["accuracy"] == pytest.approx(right)


def test_the_last_checkpoint_holds_the_whole_state(run) -> None:
    kept = RunFolder.open(run.path).checkpoints.restore(None, like=run.state)
    assert int(kept.step) == 22
    jax.tree.map(np.testing.assert_array_equal, kept.opt_state, run.state.opt_state)


def test_a_run_is_summarized(run, home) -> None:
    lines = str(run.summary()).splitlines()
    assert lines[1].split() == ["dense1", "Dense", "128", *["100,480"] * 2, "200,704"]
    assert lines[-1].startswith("MLP on 28x28x1: 101,770 parameters, all trained; ")
    assert fdl.load(home / "mlp").summary() == run.summary()


def test_a_diverged_run_has_no_result(home, run) -> None:
    with pytest.raises(fdl.DivergenceError):
        train("mlp", **SMALL, learning_rate=1e38, path=home / "diverged")
    again = fdl.load(home / "diverged")
    assert again.result is None
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(again.state.params))
    with pytest.raises(RunError, match="already contains a run"):
        train("mlp", **SMALL, path=home / "diverged")
    assert train("mlp", **SMALL, path=home / "diverged", overwrite=True).result


def test_settings_by_name_include_the_options_of_the_task() -> None:
    config = configure("lstm", hidden_size=8, steps="pixels", schedule="one-cycle")
    assert dataclasses.asdict(config.options)["hidden_size"] == 8
    assert (config.options.steps, config.learning_rate) == ("pixels", 3e-3)
    for wrong, message in (
        (
            {"hiden_size": 8},
            "'hiden_size'; did you mean 'hidden_size'. settings: dataset",
        ),
        ({"steps": "columns"}, "steps='columns' must be one of rows, pixels"),
        ({"epochs": 0}, "epochs=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            configure("lstm", **wrong)
    with pytest.raises(ValueError, match="epochs: the Config"):
        train(config, epochs=3)


def test_tasks_declare_what_they_predict_and_generate() -> None:
    for task in tasks.TASKS.values():
        can = type(task).generate is not task.generate
        assert can == (task.generates is not None), task.name
    classes = [task.name for task in tasks.TASKS.values() if task.predicts == "classes"]
    names = (
        "cnn lenet5 alexnet vgg googlenet resnet densenet mlp mnist-fast rnn lstm gru "
    )
    names += "transformer"
    assert classes == [*names.split(), "textcnn", "text-classifier", "classify"]
    assert tasks.find("autoencoder").predicts == tasks.find("vae").predicts == "images"


def test_a_classifier_cannot_generate(run) -> None:
    with pytest.raises(ValueError, match="task 'mlp' cannot generate"):
        run.generate(jax.random.key(0), tasks.Sampling())


@pytest.mark.parametrize(
    ("forget", "missing"),
    [
        (lambda config: config.pop("validation"), "validation"),
        (
            lambda config: config["data"].pop("validation_count"),
            "data.validation_count",
        ),
    ],
    ids=["setting", "data"],
)
def test_a_run_of_an_older_version_is_refused(run, tmp_path, forget, missing) -> None:
    shutil.copytree(run.path, tmp_path / "old")
    file = tmp_path / "old" / "config.json"
    config = json.loads(file.read_text())
    forget(config)
    del config["sha256"]
    file.write_text(json.dumps(config))
    with pytest.raises(RunError, match=f"lacks {missing}: the run is from an older"):
        fdl.load(tmp_path / "old")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((28, 28, 1), r"not \(28, 28, 1\)\. Add the axis of examples"),
        ((3, 20, 28, 1), r"\(count, 28, 28, 1\), not \(3, 20, 28, 1\)\.$"),
    ],
)
def test_images_of_another_shape_are_refused(run, shape, message) -> None:
    with pytest.raises(fdl.DataError, match=message):
        run.predict(np.zeros(shape, np.uint8))


def test_pixels_that_are_not_scaled_are_refused(run) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1))
    with pytest.raises(fdl.DataError, match=r"from 0 to 255.* must be in \[0, 1\]"):
        run.predict(images.astype(np.float32))
    scaled = run.predict(images.astype(np.float32) / 255)
    np.testing.assert_allclose(run.predict(images.astype(np.uint8)), scaled, atol=1e-5)
