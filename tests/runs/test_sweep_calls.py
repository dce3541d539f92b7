"""Sweeps and comparisons as library calls."""

import json

import numpy as np
import pytest
from small import few

import fdl
from fdl import data
from fdl.runs import Range, RunError, compare, sweep

SMALL = {"dataset": "mnist-5k", "epochs": 1, "batch_size": 50}


@pytest.fixture(autouse=True, scope="module")
def _few_digits():
    digits = few(200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *args, **options: digits)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture(scope="module")
def swept(home):
    """Two sweeps over the same seeds."""
    return [
        sweep("mlp", **SMALL, learning_rate=rate, seeds=3, path=home / name)
        for name, rate in (("slow", 1e-4), ("fast", 1e-2))
    ]


def test_a_sweep_returns_its_results(swept, home) -> None:
    _, fast = swept
    assert (fast.path, fast.metric, fast.mode) == (home / "fast", "accuracy", "max")
    (outcome,) = fast.outcomes
    assert outcome.seeds == [0, 1, 2]
    assert [row["member"] for row in fast.rows] == [0, 1, 2]
    best = fdl.load(fast.best)
    chosen = int(np.argmax(outcome.values))
    assert best.config.seed == outcome.seeds[chosen]
    assert "epoch 1 of 1, test accuracy" in repr(best)
    validation = best.evaluate(best.dataset().validation)
    assert validation["accuracy"] == pytest.approx(outcome.values[chosen])
    # With seeds alone nothing is selected, so all of them are tested.
    assert best.evaluate()["accuracy"] == pytest.approx(outcome.test_values[chosen])
    assert len(outcome.test_values) == 3
    assert fast.test["accuracy"] == pytest.approx(outcome.test_values[chosen])
    written = json.loads((fast.path / "result.json").read_text())
    assert written["best"]["seed"] == best.config.seed
    assert written["best"]["test"]["accuracy"] == fast.test["accuracy"]
    assert written["configurations"][0]["test_values"] == outcome.test_values
    assert (fast.path / "report.html").is_file()
    assert best.result["metrics"] == fast.test
    assert best.result["validation"] == written["best"]["validation"]
    (line,) = best.history
    assert (line.epoch, line.step) == (1, 4)
    assert line.validation == best.result["validation"]
    assert line.train["loss"] == fast.rows[chosen]["train_loss"]
    assert np.isnan(line.seconds)


def test_a_sweep_is_not_a_run(swept) -> None:
    for one in swept:
        with pytest.raises(RunError, match=f"is a sweep.*best member is {one.best}"):
            fdl.load(one.path)


def test_a_sweep_is_resumed_only_with_its_own_settings(swept, home) -> None:
    rows = []
    again = sweep(
        "mlp",
        **SMALL,
        learning_rate=1e-2,
        seeds=3,
        path=home / "fast",
        on_rows=rows.append,
    )
    assert rows == []
    assert again.outcomes == swept[1].outcomes
    with pytest.raises(RunError, match=r"another sweep: learning_rate was 0\.01 and"):
        sweep("mlp", **SMALL, seeds=2, path=home / "fast")


def test_settings_are_drawn_from_ranges(home) -> None:
    ranges = {"learning_rate": Range(1e-4, 1e-2, log=True)}
    found = sweep("mlp", **SMALL, ranges=ranges, samples=2, path=home / "drawn")
    rates = [outcome.settings["learning_rate"] for outcome in found.outcomes]
    assert len(set(rates)) == 2
    assert all(1e-4 < rate < 1e-2 for rate in rates)
    for wrong in ((2.0, 1.0), (0.0, np.inf)):
        with pytest.raises(ValueError, match="larger finite number"):
            Range(*wrong)
    with pytest.raises(ValueError, match="begin above 0"):
        Range(0.0, 1.0, log=True)


def test_compare_returns_its_numbers(swept, home) -> None:
    found = compare(home / "slow", home / "fast")
    assert (found.metric, found.names, found.better) == (
        "accuracy",
        ("slow", "fast"),
        "fast",
    )
    assert found.seeds == (0, 1, 2)
    assert found.diverged == (0, 0)
    values = [one.outcomes[0].test_values for one in swept]
    np.testing.assert_allclose(found.differences, np.subtract(values[1], values[0]))
    assert found.difference.mean == pytest.approx(found.differences.mean())
    assert found.seeds_needed >= 2
    same = compare(home / "fast", home / "fast")
    assert same.better is None
    assert same.seeds_needed is None


def result(path, values, mode="max", diverged=0):
    """Write the result of a sweep."""
    path.mkdir()
    seeds = list(range(len(values)))
    one = {"seeds": seeds, "test_values": values, "diverged": diverged}
    content = {"metric": "loss", "mode": mode, "configurations": [one]}
    (path / "result.json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(("mode", "better"), [("max", "high"), ("min", "low")])
def test_the_better_sweep_does_not_depend_on_the_order(tmp_path, mode, better) -> None:
    low = result(tmp_path / "low", [0.1, 0.2, 0.3], mode)
    high = result(tmp_path / "high", [0.5, 0.61, 0.7], mode)
    assert compare(low, high).better == better
    assert compare(high, low).better == better


def test_the_sweep_with_fewer_diverged_seeds_is_better(tmp_path) -> None:
    low = result(tmp_path / "low", [0.1, 0.2, 0.3])
    high = result(tmp_path / "high", [0.5, 0.61, 0.7], diverged=1)
    for pair in ((low, high), (high, low)):
        assert compare(*pair).better == "low"
