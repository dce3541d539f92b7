"""Sweeps: every member is trained once, kept, and taken up again."""

import csv
import dataclasses
import json
import math

import jax
import numpy as np
import pytest

import fdl
from fdl import tasks
from fdl.data import load
from fdl.tasks import parts, space
from fdl.tasks.sweep import Sweep


def few(count=60):
    dataset = load("mnist-5k")
    cut = lambda part: type(part)(part.image[:count], part.label[:count])
    return dataset._replace(train=cut(dataset.train), test=cut(dataset.test))


def configs(name="lstm", grid=(), seeds=1, epochs=2, **options):
    task = tasks.find(name)
    config = task.config(
        dataset="mnist-5k",
        epochs=epochs,
        batch_size=20,
        options=dataclasses.replace(task.options, **options),
    )
    grid = space.read_grid(config, grid)
    return space.combine(config, grid=grid, ranges={}, samples=1, seeds=seeds)


def make(folder, name="lstm", **options):
    return Sweep(tasks.find(name), configs(name, **options), few(), folder)


def flat(state):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(state.params)])


SMALL = {"hidden_size": 8}
GRID = ["learning-rate=1e-3,1e-2", "hidden-size=4,8"]


def test_members_are_what_single_runs_are(tmp_path) -> None:
    sweep = make(tmp_path, grid=GRID, seeds=2)
    sweep.run()
    kept = sweep.kept()
    assert sorted(kept) == list(range(8))
    rows = sweep.table()
    assert [(row["member"], row["epoch"]) for row in rows] == [
        (k, epoch) for k in range(8) for epoch in (1, 2)
    ]
    for k in (1, 6):
        config, data = sweep.configs[k], sweep.dataset
        learner = sweep.outline(k).learner
        one = fdl.fit(
            learner,
            data.train,
            epochs=2,
            batch_size=20,
            key=jax.random.key(config.seed),
            eval_data=data.test,
        )
        np.testing.assert_allclose(flat(kept[k]), flat(one.state), atol=2e-4)
        row = rows[2 * k + 1]
        assert row["seed"] == config.seed
        assert row["learning_rate"] == config.learning_rate
        assert row["test_loss"] == pytest.approx(one.history[1].eval["loss"], rel=1e-4)


def test_the_table_is_a_csv_file(tmp_path) -> None:
    sweep = make(tmp_path, seeds=2, **SMALL)
    sweep.run()
    with (tmp_path / "members.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[3]["test_accuracy"]) == sweep.table()[3]["test_accuracy"]
    assert rows[3]["seed"] == "1"


def test_an_interrupted_sweep_goes_on(tmp_path) -> None:
    whole = make(tmp_path / "whole", seeds=5, **SMALL)
    whole.run(members_per_chunk=2)

    class Interrupted(Exception):
        pass

    seen = []

    def interrupt(rows):
        seen.extend(row["member"] for row in rows)
        if len({row["member"] for row in rows} - {0, 1}) and len(seen) > 6:
            raise Interrupted

    broken = make(tmp_path / "broken", seeds=5, **SMALL)
    with pytest.raises(Interrupted):
        broken.run(members_per_chunk=2, on_rows=interrupt)
    done = set(make(tmp_path / "broken", seeds=5, **SMALL).kept())
    assert 0 < len(done) < 5
    trained = []
    again = make(tmp_path / "broken", seeds=5, **SMALL)
    again.run(members_per_chunk=2, on_rows=lambda rows: trained.extend(rows))
    assert {row["member"] for row in trained} == set(range(5)) - done
    kept, wanted = again.kept(), whole.kept()
    for k in range(5):
        np.testing.assert_allclose(flat(kept[k]), flat(wanted[k]), atol=2e-4)
    assert len(again.table()) == len(whole.table()) == 10
    nothing = []
    make(tmp_path / "broken", seeds=5, **SMALL).run(on_rows=nothing.append)
    assert nothing == []


def test_halving_trains_the_best_for_longer(tmp_path) -> None:
    rates = ",".join(f"{rate:.1e}" for rate in np.geomspace(1e-6, 1e-2, 9))
    options = {"grid": [f"learning-rate={rates}"], "seeds": 2, "epochs": 9, **SMALL}
    sweep = make(tmp_path, **options)
    sweep.run(halving=True)
    epochs = {}
    for row in sweep.table():
        epochs.setdefault(row["configuration"], set()).add(row["epoch"])
    made = sorted(max(one) for one in epochs.values())
    assert made == [1, 1, 1, 1, 1, 1, 3, 3, 9]
    first = {
        number: np.mean(
            [
                row["test_accuracy"]
                for row in sweep.table()
                if row["configuration"] == number and row["epoch"] == 1
            ]
        )
        for number in epochs
    }
    went_on = [number for number in epochs if max(epochs[number]) > 1]
    stopped = [number for number in epochs if max(epochs[number]) == 1]
    assert min(first[n] for n in went_on) >= max(first[n] for n in stopped)
    best = sweep.outcomes()[0]
    assert best.epochs == 9
    # What goes on is what would have been without a stop.
    k = sweep.numbers.index(best.number)
    data = sweep.dataset
    one = fdl.fit(
        sweep.outline(k).learner,
        data.train,
        epochs=9,
        batch_size=20,
        key=jax.random.key(sweep.configs[k].seed),
    )
    np.testing.assert_allclose(flat(sweep.kept()[k]), flat(one.state), atol=1e-3)
    again = []
    make(tmp_path, **options).run(halving=True, on_rows=again.append)
    assert again == []


def test_halving_needs_equal_epochs(tmp_path) -> None:
    sweep = make(tmp_path, grid=["epochs=1,2"], **SMALL)
    with pytest.raises(ValueError, match="do not sweep over them"):
        sweep.run(halving=True)


def test_outcomes_are_sorted_and_leave_out_what_diverged(tmp_path) -> None:
    grid = ["learning-rate=1e38,1e-2,1e-9"]
    sweep = make(tmp_path, "mlp", grid=grid, seeds=2, epochs=5)
    sweep.run()
    outcomes = sweep.outcomes()
    assert outcomes[0].settings == {"learning_rate": 1e-2}
    assert outcomes[0].summary.seeds == 2
    assert outcomes[-1].settings == {"learning_rate": 1e38}
    assert outcomes[-1].diverged == 2
    assert outcomes[-1].summary is None
    k, state = sweep.best_member(sweep.outcomes()[0])
    assert sweep.configs[k].learning_rate == 1e-2
    values = [row for row in sweep.table() if row["epoch"] == 5 and "test_loss" in row]
    assert (
        sweep.configs[k].seed == max(values, key=lambda r: r["test_accuracy"])["seed"]
    )
    np.testing.assert_array_equal(flat(state), flat(sweep.kept()[k]))


def test_a_measure_of_the_task_itself_is_taken_at_the_end(
    tmp_path, monkeypatch
) -> None:
    task = tasks.find("gan")._replace(
        finish=lambda trained, dataset, folder: {
            "frechet_distance": float(trained.config.seed)
        }
    )
    members = configs("gan", seeds=2, epochs=1, architecture="dense", latent_size=4)
    sweep = Sweep(task, members, few(), tmp_path)
    sweep.run()
    (outcome,) = sweep.outcomes()
    assert outcome.values == [0.0, 1.0]
    assert sweep.best_member(sweep.outcomes()[0])[0] == 0, "the smallest is the best"
    with pytest.raises(ValueError, match="after an epoch"):
        Sweep(task, members, few(), tmp_path / "b").run(halving=True)


def test_a_part_is_there_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    def fail(path, state):
        path.mkdir()
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(parts, "save", fail)
        with pytest.raises(OSError, match="disk is full"):
            make(tmp_path, **SMALL).run()
    again = make(tmp_path, **SMALL)
    assert again.kept() == {}
    again.run()
    assert list(again.kept()) == [0]
    (rows,) = (tmp_path / "parts").glob("*/rows.json")
    assert len(json.loads(rows.read_text())) == 2
    assert not math.isnan(again.table()[0]["test_loss"])
