"""Selection uses the validation part; the test set cannot influence it."""

import dataclasses
import json
from importlib import import_module

import jax
import numpy as np
import pytest
from small import few

import fdl
from fdl import data
from fdl.runs import RunFolder, configure, sweep, train

OPTIONS = {"dataset": "mnist-5k", "batch_size": 20, "hidden_sizes": (4,)}


def scrambled(dataset):
    """Return data with inverted, permuted test images and permuted test labels."""
    rng = np.random.default_rng(0)
    image, label = dataset.test
    image = 255 - image[rng.permutation(len(image))]
    return dataset._replace(test=fdl.Batch(image, rng.permutation(label)))


@pytest.fixture
def on(monkeypatch):
    """Return a function that sets the data set to load; sweeps draw no pictures."""
    monkeypatch.setattr(import_module("fdl.runs.sweep"), "draw", lambda *args: None)
    return lambda dataset: monkeypatch.setattr(data, "load", lambda *_, **__: dataset)


def without_test(rows):
    """Return rows without their test metrics."""
    return [{k: v for k, v in row.items() if "test_" not in k} for row in rows]


def test_the_test_set_cannot_influence_a_sweep(tmp_path, on) -> None:
    """With halving, which chooses who goes on as well as the best in the end."""
    found = []
    for name, dataset in (("plain", few()), ("scrambled", scrambled(few()))):
        on(dataset)
        found.append(
            sweep(
                "mlp",
                **OPTIONS,
                epochs=3,
                grid={"learning_rate": [1e-5, 3e-3, 1e-2]},
                seeds=2,
                halving=True,
                strategy="vmap",
                members_per_chunk=2,  # one program for all rounds
                path=tmp_path / name,
            )
        )
    one, other = found
    assert one.test != other.test, "the test sets differ"
    forget = lambda outcome: outcome._replace(test_values=[], test=None)
    assert list(map(forget, one.outcomes)) == list(map(forget, other.outcomes))
    assert {outcome.epochs for outcome in one.outcomes} == {1, 3}
    assert without_test(one.rows) == without_test(other.rows)
    best, twin = (
        json.loads((x.path / "result.json").read_text())["best"] for x in found
    )
    assert best.pop("test") != twin.pop("test")
    assert best == twin
    best, twin = (RunFolder(x.best).weights.read_bytes() for x in found)
    assert best == twin


def test_the_test_set_cannot_influence_the_best_epoch(tmp_path, on) -> None:
    options = {**OPTIONS, "epochs": 30, "learning_rate": 1e-2, "early_stopping": 2}
    runs = []
    for name, dataset in (("plain", few()), ("scrambled", scrambled(few()))):
        on(dataset)
        runs.append(train("mlp", **options, path=tmp_path / name))
    one, other = runs
    assert one.result["metrics"] != other.result["metrics"], "the test sets differ"
    for name in ("epochs", "epochs_trained", "validation"):
        assert one.result[name] == other.result[name]
    timeless = lambda run: [line._replace(seconds=0.0) for line in run.history]
    assert timeless(one) == timeless(other)
    a, b = (RunFolder(run.path).weights.read_bytes() for run in runs)
    assert a == b


def test_the_test_set_is_measured_once_at_the_end(tmp_path, on, monkeypatch) -> None:
    dataset, measured = few(), []
    on(dataset)
    for name in ("fdl.runs.finish", "fdl.runs.members"):
        module = import_module(name)
        plain = module.evaluate

        def note(learner, state, examples, plain=plain):
            assert examples is dataset.test
            measured.append(int(state.step))
            return plain(learner, state, examples)

        monkeypatch.setattr(module, "evaluate", note)
    train("mlp", **OPTIONS, epochs=3, path=tmp_path / "run")
    assert measured == [9], "after the last of 3 x 3 steps"
    measured.clear()
    grid = {"learning_rate": [1e-3, 1e-2]}
    sweep("mlp", **OPTIONS, epochs=3, grid=grid, seeds=2, path=tmp_path / "sweep")
    assert measured == [9, 9], "both seeds of the best settings, and no others"


def test_early_stopping_keeps_the_best_epoch(tmp_path, on) -> None:
    on(few())
    options = {**OPTIONS, "learning_rate": 1e-2}
    run = train("mlp", **options, epochs=30, early_stopping=2, path=tmp_path / "a")
    values = [line.validation["accuracy"] for line in run.history]
    best = int(np.argmax(values)) + 1
    assert run.result["epochs"] == best
    assert run.result["epochs_trained"] == len(values) == best + 2 < 30
    assert run.result["validation"] == run.history[best - 1].validation
    assert json.loads((run.path / "config.json").read_text())["early_stopping"] == 2
    again = fdl.load(run.path)
    jax.tree.map(np.testing.assert_array_equal, again.variables, run.variables)
    found = again.evaluate(few().validation)
    assert found == pytest.approx(run.result["validation"])
    assert again.evaluate(few().test) == pytest.approx(run.result["metrics"])
    kept = RunFolder(run.path).checkpoints.restore(3 * best, like=run.state)
    same = jax.tree.map(np.array_equal, kept.opt_state, run.state.opt_state)
    assert jax.tree.all(same), "the checkpoint of the best epoch"
    # It equals a run of as many epochs.
    short = train("mlp", **options, epochs=best, path=tmp_path / "b")
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6)
    jax.tree.map(close, again.variables, short.variables)
    assert short.result["epochs"] == short.result["epochs_trained"] == best


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        (train, {"early_stopping": 2}, "the best epoch by: hold some out, or train to"),
        (sweep, {"grid": {"learning_rate": [1e-3, 1e-2]}}, "the best settings by"),
        (sweep, {"grid": {"batch_size": [5, 10]}}, "or sweep over seeds alone"),
        (sweep, {"seeds": 2, "halving": True}, "the survivors by"),
    ],
)
def test_selection_without_a_validation_part_is_refused(
    tmp_path, call, options, message
) -> None:
    path = tmp_path / "a"
    with pytest.raises(ValueError, match=f"validation=None leaves no .*{message}"):
        call("mlp", **OPTIONS, validation=None, epochs=3, **options, path=path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("task", "patience", "message"),
    [
        ("mlp", 0, "early_stopping=0 must be at least 1"),
        (
            "gan",
            2,
            "early_stopping needs a metric after each epoch, but frechet_distance",
        ),
    ],
)
def test_bad_early_stopping_is_refused(tmp_path, task, patience, message) -> None:
    with pytest.raises(ValueError, match=message):
        train(task, dataset="mnist-5k", early_stopping=patience, path=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_seeds_alone_may_train_on_everything(tmp_path, monkeypatch) -> None:
    digits, options = few(validation=None), {**OPTIONS, "epochs": 1}
    monkeypatch.setattr(data, "load", lambda *_, **__: digits)
    found = sweep("mlp", **options, validation=None, seeds=2, path=tmp_path / "sweep")
    (outcome,) = found.outcomes
    assert (outcome.values, outcome.summary) == ([], None)
    assert len(outcome.test_values) == 2, "nothing was selected: all are tested"
    assert found.best is None
    page = (found.path / "report.html").read_text()
    assert "nothing was held out" in page
    assert "validation accuracy" not in page
    run = train("mlp", **options, validation=None, path=tmp_path / "run")
    counts = {"train": 60, "validation": 0, "test": 60}
    assert run.result["counts"] == counts
    assert run.result["validation"] == {}
    assert run.metrics["accuracy"] == pytest.approx(outcome.test_values[0])


def test_a_member_equals_a_run_trained_alone(tmp_path, on) -> None:
    """Both hold out the same part by default, and measure the same on each part.

    `test_sweep.py` compares members with other learning rates and models.
    """
    grid = {"dropout_rate": [0.2, 0.4]}
    config = configure("mlp", **OPTIONS, epochs=2, schedule="one-cycle")
    assert config.validation == 1 / 6
    on(few())
    found = sweep(config, grid=grid, seeds=2, path=tmp_path / "sweep")
    best = fdl.load(found.best)
    alone = train(best.config, path=tmp_path / "alone")
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4)
    jax.tree.map(close, best.variables, alone.variables)
    for part in ("metrics", "validation"):
        assert best.result[part] == pytest.approx(alone.result[part], rel=1e-3)
    other = next(
        row
        for row in found.rows
        if row["seed"] != best.config.seed
        and row["dropout_rate"] == best.config.options.dropout_rate
    )
    config = dataclasses.replace(best.config, seed=other["seed"])
    alone = train(config, path=tmp_path / "other")
    first = alone.history[0].validation
    assert other["epoch"] == 1
    assert other["validation_loss"] == pytest.approx(first["loss"], rel=1e-3)
