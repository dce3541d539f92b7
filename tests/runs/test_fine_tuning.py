"""Fine-tuning: which weights are copied, which stay frozen, what may be evaluated."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from small import few

import fdl
from fdl import data, tasks
from fdl.runs import UNKNOWN, configure, train
from fdl.runs.start import start_from
from fdl.runs.weights import named_variables

SMALL = {"dataset": "mnist-5k", "epochs": 1, "batch_size": 20}


@pytest.fixture(scope="module", autouse=True)
def _few_digits():
    """Train on a few digits."""
    with pytest.MonkeyPatch.context() as patch:
        digits = few(60)
        patch.setattr(data, "load", lambda name, **options: digits)
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source")
    return train("mlp", **SMALL, path=path, ema=0.9)


def test_a_run_starts_from_the_weights_of_another(source, tmp_path) -> None:
    tiny = {**SMALL, "learning_rate": 1e-12}
    run = train("mlp", **tiny, init_from=source.path, path=tmp_path / "a")
    for name, x in named_variables(run.variables).items():
        np.testing.assert_allclose(
            x, named_variables(source.variables)[name], atol=1e-9, err_msg=name
        )
    assert run.newly_initialized == ()
    assert run.trained_on == ("mnist-5k", "mnist-5k")
    again = fdl.load(tmp_path / "a")
    assert (again.trained_on, again.newly_initialized) == (run.trained_on, ())


def test_a_head_for_other_classes_is_initialized_anew(source) -> None:
    info = source.info._replace(num_classes=3)
    fresh = tasks.outline(source.task, configure("mlp", **SMALL), info)
    start = start_from(source.task, fresh, source.path)
    assert start.newly_initialized == ("params/head/bias", "params/head/kernel")
    assert start.state.params["head"]["kernel"].shape == (128, 3)
    kept, given = start.state.params["dense1"], source.variables["params"]["dense1"]
    jax.tree.map(np.testing.assert_array_equal, kept, given)
    from_its_file = start_from(source.task, fresh, source.path / "weights.safetensors")
    assert from_its_file.trained_on == start.trained_on == ("mnist-5k",)


def test_weights_of_another_model_are_refused(source, tmp_path) -> None:
    with pytest.raises(fdl.keras.WeightsError, match="params/conv1/bias"):
        train("cnn", **SMALL, init_from=source.path, path=tmp_path / "a")
    assert not (tmp_path / "a").exists()
    info = source.info._replace(input_shape=(32, 30, 3))
    fresh = tasks.outline(source.task, configure("mlp", **SMALL), info)
    remedy = r"shape \[28, 28, 1\], but .* have \[32, 30, 3\]: .*size=28x28&channels=1"
    with pytest.raises(fdl.keras.WeightsError, match=remedy):
        start_from(source.task, fresh, source.path)


def test_frozen_parameters_stay_the_same_bit_for_bit(source, tmp_path) -> None:
    run = train(
        "mlp",
        **SMALL,
        init_from=source.path,
        freeze=["dense1"],
        optimizer="adamw",
        clip_norm=0.1,
        path=tmp_path / "a",
    )
    for part, same in (("dense1", True), ("head", False)):
        for name, x in run.state.params[part].items():
            before = np.asarray(source.variables["params"][part][name])
            assert (np.asarray(x).tobytes() == before.tobytes()) is same
    assert fdl.load(tmp_path / "a").config.freeze == ("dense1",)


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (["conv1"], "freeze='conv1' matches no parameter .* dense1, head"),
        (["*"], "leaves no parameter to train"),
    ],
)
def test_freezing_nothing_or_everything_is_refused(tmp_path, freeze, message) -> None:
    with pytest.raises(ValueError, match=message):
        train("mlp", **SMALL, freeze=freeze, path=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def change_training_data(config_file, name):
    config = json.loads(config_file.read_text())
    changes = {"trained_on": [name, "mnist-5k"], "sha256": None}
    config_file.write_text(json.dumps(config | changes))


def test_weights_that_have_seen_the_test_images_are_not_tested_on_them(
    source, tmp_path, monkeypatch
) -> None:
    run = train("mlp", **SMALL, init_from=source.path, path=tmp_path / "a")
    change_training_data(run.path / "config.json", "mnist")
    again = fdl.load(run.path)
    assert again.config.dataset == "mnist-5k"
    with pytest.raises(data.DataError, match="training images of mnist, which"):
        again.evaluate()
    with pytest.raises(data.DataError, match="training images of mnist, which"):
        train("mlp", **SMALL, init_from=run.path, path=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_keras_file_is_recorded_as_unknown(source, tmp_path) -> None:
    source.export(tmp_path / "x.weights.h5")
    run = train(
        "mlp", **SMALL, init_from=tmp_path / "x.weights.h5", path=tmp_path / "a"
    )
    assert run.trained_on == (UNKNOWN, "mnist-5k")
    further = train("mlp", **SMALL, init_from=run.path, path=tmp_path / "b")
    assert further.trained_on == (UNKNOWN, "mnist-5k", "mnist-5k")


def test_a_run_predicts_with_its_averaged_weights(source) -> None:
    average = source.state.extra["ema"]
    assert source.variables["params"] is average
    image = source.dataset().test.image[:8]
    plain = tasks.outline(source.task, configure("mlp", **SMALL), source.info).learner
    settled = source.state._replace(params=average, extra={})
    expected = fdl.predict(plain, settled, image)
    np.testing.assert_array_equal(source.predict(image), expected)
    np.testing.assert_array_equal(fdl.load(source.path).predict(image), expected)
    (part,) = source.task.parts(source).values()
    assert part.variables["params"] is average


def test_class_weights_become_numbers(tmp_path) -> None:
    digits = data.load("mnist-5k")
    counts = np.bincount(digits.train.label, minlength=10)
    balanced = configure("mlp", class_weights="balanced")
    found = tasks.with_class_weights(balanced, digits).class_weights
    np.testing.assert_allclose(found, 60 / (10 * counts))
    named = configure("mlp", class_weights={"3": 2.0, "7": 0.5})
    found = tasks.with_class_weights(named, digits).class_weights
    assert found == (1, 1, 1, 2, 1, 1, 1, 0.5, 1, 1)
    run = train("mlp", **SMALL, class_weights="balanced", path=tmp_path / "a")
    assert fdl.load(run.path).config.class_weights == run.config.class_weights
    for words, message in (
        ("cat=2", "there is no class 'cat'; write 'balanced' or"),
        ("3=-1", "'-1' must be a number of at least 0"),
        ("3=much", "'much' must be a number"),
    ):
        config = dataclasses.replace(named, class_weights=words)
        with pytest.raises(ValueError, match=message):
            tasks.with_class_weights(config, digits)
    label = np.zeros_like(digits.train.label)
    part = digits.train._replace(label=label)
    with pytest.raises(ValueError, match="no example of class '1'"):
        tasks.with_class_weights(balanced, digits._replace(train=part))
