"""What selects sees the validation part, and never the test set."""

import json

import jax
import numpy as np
import pytest

import fdl
from fdl import data, tasks
from fdl.runs import RunError, configure, sweep, train

SMALL = {"dataset": "mnist-5k", "epochs": 3, "batch_size": 250}


def spoil_test(monkeypatch) -> None:
    """Permute the labels of the test set, wherever a data set is loaded."""
    load = data.load

    def spoiled(*args, **kwargs):
        dataset = load(*args, **kwargs)
        label = np.random.default_rng(0).permutation(dataset.test.label)
        return dataset._replace(test=dataset.test._replace(label=label))

    monkeypatch.setattr(data, "load", spoiled)


def without_test(rows):
    drop = lambda row: {k: v for k, v in row.items() if not k.startswith("test_")}
    return [drop(row) for row in rows]


@pytest.mark.parametrize("halving", [False, True])
def test_the_test_set_cannot_influence_what_a_sweep_selects(
    tmp_path, monkeypatch, halving
) -> None:
    options = {
        **SMALL,
        "grid": {"learning_rate": [1e-4, 1e-3, 1e-2]},
        "seeds": 2,
        "halving": halving,
    }
    honest = sweep("mlp", **options, path=tmp_path / "honest")
    spoil_test(monkeypatch)
    spoiled = sweep("mlp", **options, path=tmp_path / "spoiled")
    assert without_test(spoiled.rows) == without_test(honest.rows)
    pick = lambda found: [(one.number, one.values) for one in found.outcomes]
    assert pick(spoiled) == pick(honest)
    one, other = (fdl.load(found.best) for found in (honest, spoiled))
    assert one.config == other.config
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
    # It was looked at, though: for the chosen configuration alone.
    assert honest.test["accuracy"] > 0.5 > spoiled.test["accuracy"]
    measured = {row["configuration"] for row in honest.rows if "test_accuracy" in row}
    assert measured == {honest.outcomes[0].number}


def test_the_test_set_cannot_influence_when_a_run_stops(tmp_path, monkeypatch) -> None:
    options = {**SMALL, "epochs": 12, "learning_rate": 3e-2, "patience": 1}
    honest = train("mlp", **options, path=tmp_path / "honest")
    spoil_test(monkeypatch)
    spoiled = train("mlp", **options, path=tmp_path / "spoiled")
    assert spoiled.history == tuple(
        line._replace(seconds=other.seconds)
        for line, other in zip(honest.history, spoiled.history, strict=True)
    )
    jax.tree.map(np.testing.assert_array_equal, honest.variables, spoiled.variables)
    # The run is the best epoch's, in memory, on disk and in what is said of it.
    accuracy = [line.validation["accuracy"] for line in honest.history]
    best = int(np.argmax(accuracy))
    assert len(accuracy) == min(12, best + 2)
    assert honest.result["epochs"] == best + 1
    assert honest.result["validation"]["accuracy"] == accuracy[best]
    monkeypatch.undo()
    again = fdl.load(tmp_path / "honest")
    measured = again.evaluate(again.dataset().validation)
    assert measured["accuracy"] == pytest.approx(accuracy[best])
    assert again.evaluate() == pytest.approx(honest.result["metrics"])


def test_nothing_held_out_trains_on_all_and_selects_nothing(tmp_path) -> None:
    run = train("mlp", **SMALL, validation=None, path=tmp_path / "run")
    assert run.result["counts"] == {"train": 4000, "validation": 0, "test": 1000}
    assert run.result["validation"] == {}
    assert run.history[-1].step == 3 * 16
    assert fdl.load(tmp_path / "run").config.validation is None
    with pytest.raises(ValueError, match="needs validation_data"):
        train("mlp", **SMALL, validation=None, patience=2, path=tmp_path / "b")
    with pytest.raises(ValueError, match="leaves no examples to choose"):
        sweep(
            "mlp",
            **SMALL,
            validation=None,
            grid={"learning_rate": [1e-3, 1e-2]},
            path=tmp_path / "c",
        )
    seeds = sweep("mlp", **SMALL, validation=None, seeds=2, path=tmp_path / "seeds")
    (outcome,) = seeds.outcomes
    assert seeds.best is None
    assert outcome.values == []
    assert len(outcome.test_values) == 2
    assert outcome.test_values[0] == pytest.approx(run.result["metrics"]["accuracy"])


def test_a_share_is_held_out_of_plain_runs_and_of_sweeps_alike(tmp_path) -> None:
    run = train("mlp", **SMALL, seed=1, path=tmp_path / "run", validation=0.1)
    assert run.result["counts"]["validation"] == 400
    swept = sweep("mlp", **SMALL, seeds=2, path=tmp_path / "sweep", validation=0.1)
    row = swept.rows[-1]
    assert (row["seed"], row["epoch"]) == (1, 3)
    last = run.history[-1]
    assert row["validation_loss"] == pytest.approx(last.validation["loss"], rel=1e-3)
    assert row["train_loss"] == pytest.approx(last.train["loss"], rel=1e-3)
    assert row["test_loss"] == pytest.approx(run.result["metrics"]["loss"], rel=1e-3)
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match=f"validation={share}"):
            configure("mlp", validation=share)


GAN = {
    "dataset": "mnist-5k",
    "epochs": 1,
    "batch_size": 500,
    "architecture": "dense",
    "latent_size": 4,
}


def test_the_average_of_a_generator_is_no_weight_and_comes_back(tmp_path) -> None:
    run = train("gan", **GAN, path=tmp_path / "gan")
    from safetensors.numpy import load_file

    names = load_file(tmp_path / "gan" / "weights.safetensors")
    assert {name.split("/")[0] for name in names} <= {
        "params",
        "generator",
        "discriminator",
    }
    assert not any("average" in name for name in names)
    again = fdl.load(tmp_path / "gan")
    key, sampling = jax.random.key(0), tasks.Sampling(count=3)
    images = again.generate(key, sampling)
    np.testing.assert_array_equal(images, run.generate(key, sampling))
    average = again.state.extra["average"]["params"]
    trained = again.state.params["generator"]
    differ = jax.tree.map(lambda a, b: bool((a != b).any()), average, trained)
    assert all(jax.tree.leaves(differ))
    for checkpoint in (tmp_path / "gan" / "checkpoints").iterdir():
        checkpoint.rename(tmp_path / checkpoint.name)
    with pytest.raises(RunError, match="no checkpoints"):
        fdl.load(tmp_path / "gan")


def test_a_sweep_over_the_average_of_generators_has_a_best_run(tmp_path) -> None:
    found = sweep("gan", **GAN, grid={"ema_decay": [0.5, 0.9]}, path=tmp_path / "s")
    best = fdl.load(found.best)
    assert best.config.options.ema_decay in (0.5, 0.9)
    images = best.generate(jax.random.key(0), tasks.Sampling(count=2))
    assert images.shape == (2, 28, 28, 1)
    result = json.loads((tmp_path / "s" / "result.json").read_text())
    distances = [one["values"][0] for one in result["configurations"]]
    assert distances == sorted(distances)
    assert result["best"]["test"]["frechet_distance"] > 0


def test_runs_of_an_older_version_say_so(tmp_path) -> None:
    run = train("mlp", **SMALL, path=tmp_path / "run")
    file = run.path / "config.json"
    config = json.loads(file.read_text())
    del config["validation"]
    file.write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"lacks 'validation'.*older version"):
        fdl.load(run.path)
