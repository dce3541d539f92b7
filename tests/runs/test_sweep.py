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
from fdl.runs import parts, space
from fdl.runs.members import Members
from fdl.runs.outcomes import Outcome, column, outcome, ranked
from fdl.runs.rounds import Round, halving_rounds, train_members


def few(count=60):
    dataset = load("mnist-5k")
    cut = lambda part: type(part)(part.image[:count], part.label[:count])
    return dataset._replace(
        train=cut(dataset.train),
        validation=cut(dataset.validation),
        test=cut(dataset.test),
    )


def configs(name="lstm", grid=(), seeds=1, epochs=2, **options):
    task = tasks.find(name)
    config = task.config(
        dataset="mnist-5k",
        epochs=epochs,
        batch_size=20,
        options=dataclasses.replace(task.options, **options),
    )
    return space.combine(config, grid=dict(grid), ranges={}, samples=1, seeds=seeds)


def make(folder, name="lstm", **options):
    return Members(tasks.find(name), configs(name, **options), few(), folder)


def run(members, halving=False, **options):
    rounds = halving_rounds(members) if halving else [Round()]
    train_members(members, rounds, **options)
    return members


def flat(state):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(state.params)])


SMALL = {"hidden_size": 8}
GRID = {"learning_rate": [1e-3, 1e-2], "hidden_size": [4, 8]}


def test_members_are_what_single_runs_are(tmp_path) -> None:
    sweep = make(tmp_path, grid=GRID, seeds=2)
    run(sweep)
    kept = sweep.states()
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
            validation_data=data.validation,
        )
        np.testing.assert_allclose(flat(kept[k]), flat(one.state), atol=2e-4)
        row = rows[2 * k + 1]
        assert row["seed"] == config.seed
        assert row["learning_rate"] == config.learning_rate
        measured = one.history[1].validation["loss"]
        assert row[column("loss")] == pytest.approx(measured, rel=1e-4)


def test_the_table_is_a_csv_file(tmp_path) -> None:
    sweep = make(tmp_path, seeds=2, **SMALL)
    run(sweep)
    with (tmp_path / "members.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[3][column("accuracy")]) == sweep.table()[3][column("accuracy")]
    assert rows[3]["seed"] == "1"


def test_an_interrupted_sweep_goes_on(tmp_path) -> None:
    whole = make(tmp_path / "whole", seeds=5, **SMALL)
    run(whole, members_per_chunk=2)

    class Interrupted(Exception):
        pass

    seen = []

    def interrupt(rows):
        seen.extend(row["member"] for row in rows)
        if len({row["member"] for row in rows} - {0, 1}) and len(seen) > 6:
            raise Interrupted

    broken = make(tmp_path / "broken", seeds=5, **SMALL)
    with pytest.raises(Interrupted):
        run(broken, members_per_chunk=2, on_rows=interrupt)
    done = set(make(tmp_path / "broken", seeds=5, **SMALL).states())
    assert 0 < len(done) < 5
    trained = []
    again = make(tmp_path / "broken", seeds=5, **SMALL)
    run(again, members_per_chunk=2, on_rows=lambda rows: trained.extend(rows))
    assert {row["member"] for row in trained} == set(range(5)) - done
    kept, wanted = again.states(), whole.states()
    for k in range(5):
        np.testing.assert_allclose(flat(kept[k]), flat(wanted[k]), atol=2e-4)
    assert len(again.table()) == len(whole.table()) == 10
    nothing = []
    run(make(tmp_path / "broken", seeds=5, **SMALL), on_rows=nothing.append)
    assert nothing == []


def test_halving_trains_the_best_for_longer(tmp_path) -> None:
    rates = np.geomspace(1e-6, 1e-2, 9).tolist()
    options = {"grid": {"learning_rate": rates}, "seeds": 2, "epochs": 9, **SMALL}
    sweep = make(tmp_path, **options)
    run(sweep, halving=True)
    epochs = {}
    for row in sweep.table():
        epochs.setdefault(row["configuration"], set()).add(row["epoch"])
    made = sorted(max(one) for one in epochs.values())
    assert made == [1, 1, 1, 1, 1, 1, 3, 3, 9]
    first = {
        number: np.mean(
            [
                row[column("accuracy")]
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
    np.testing.assert_allclose(flat(sweep.states()[k]), flat(one.state), atol=1e-3)
    again = []
    run(make(tmp_path, **options), halving=True, on_rows=again.append)
    assert again == []


def test_halving_needs_equal_epochs(tmp_path) -> None:
    sweep = make(tmp_path, grid={"epochs": [1, 2]}, **SMALL)
    with pytest.raises(ValueError, match="do not sweep over them"):
        run(sweep, halving=True)


def test_outcomes_are_sorted_and_leave_out_what_diverged(tmp_path) -> None:
    grid = {"learning_rate": [1e38, 1e-2, 1e-9]}
    sweep = make(tmp_path, "mlp", grid=grid, seeds=2, epochs=5)
    run(sweep)
    outcomes = sweep.outcomes()
    assert outcomes[0].settings == {"learning_rate": 1e-2}
    assert outcomes[0].summary.seeds == 2
    assert outcomes[-1].settings == {"learning_rate": 1e38}
    assert outcomes[-1].diverged == 2
    assert outcomes[-1].summary is None
    k = sweep.best()
    assert sweep.configs[k].learning_rate == 1e-2
    accuracy = column("accuracy")
    best = max(
        (row for row in sweep.table() if row["epoch"] == 5 and accuracy in row),
        key=lambda row: row[accuracy],
    )
    assert sweep.configs[k].seed == best["seed"]


def made(number, *values, epochs=9, of=9) -> Outcome:
    """Return what became of a configuration: a value for each seed, None if it fell."""
    rows = [
        {"seed": seed, "epoch": epochs, "diverged": 3}
        if value is None
        else {"seed": seed, "epoch": epochs, "diverged": -1, column("loss"): value}
        for seed, value in enumerate(values)
    ]
    return outcome(number, {}, of, rows, "loss")


def test_diverged_seeds_put_a_configuration_behind_all_without() -> None:
    outcomes = [
        made(0, 0.1, None),
        made(1, 0.9, 0.9),
        made(2, None, None),
        made(3, 0.5, 0.6),
        made(4, 0.05, None),
        made(5, 0.2, 0.2, epochs=3),
    ]
    found = ranked(outcomes, "min")
    assert [one.number for one in found] == [3, 1, 5, 4, 0, 2]
    assert [one.diverged for one in found] == [0, 0, 0, 1, 1, 2]
    assert found[4].summary.mean == 0.1, "of the seeds that stayed finite"
    assert found[4].seeds == [0]
    largest = ranked(outcomes, "max")
    assert [one.number for one in largest] == [1, 3, 5, 0, 4, 2]


def test_epochs_that_were_asked_for_are_no_merit() -> None:
    few, many = made(0, 0.1, epochs=2, of=2), made(1, 0.5, epochs=9, of=9)
    assert [one.number for one in ranked([few, many], "min")] == [0, 1]


def fall(members, which):
    """Note that members fell in their first epoch, whatever they measured."""
    keep = members.keep

    def note(round, inside, state, rows):
        for row in rows:
            if row["member"] in which:
                row["diverged"] = 0
        keep(round, inside, state, rows)

    members.keep = note


def test_halving_forgives_no_diverged_seed(tmp_path) -> None:
    grid = {"learning_rate": [1e-2, 1e-6, 1e-7]}
    sweep = make(tmp_path, grid=grid, seeds=2, epochs=3, **SMALL)
    fall(sweep, {1})  # the second seed of the best rate
    run(sweep, halving=True)
    best, *rest = sweep.outcomes()
    assert best.settings["learning_rate"] < 1e-2
    assert (best.epochs, best.diverged) == (3, 0)
    assert [one.diverged for one in rest] == [0, 1]
    assert {row["epoch"] for row in sweep.table() if row["member"] in (0, 1)} == {1}
    assert sweep.configs[sweep.best()].learning_rate < 1e-2


def test_halving_ends_when_all_diverge(tmp_path) -> None:
    grid = {"learning_rate": [1e36, 1e37, 1e38]}
    sweep = make(tmp_path, "mlp", grid=grid, epochs=6)
    run(sweep, halving=True)
    assert sweep.best() is None
    assert [one.values for one in sweep.outcomes()] == [[], [], []]


def test_a_measure_of_the_task_itself_is_taken_at_the_end(
    tmp_path, monkeypatch
) -> None:
    task = tasks.find("gan")._replace(
        finish=lambda trained, dataset, folder: {
            "frechet_distance": float(trained.config.seed)
        }
    )
    members = configs("gan", seeds=2, epochs=1, architecture="dense", latent_size=4)
    sweep = Members(task, members, few(), tmp_path)
    run(sweep)
    (outcome,) = sweep.outcomes()
    assert outcome.values == [0.0, 1.0]
    assert sweep.best() == 0, "the smallest is the best"
    with pytest.raises(ValueError, match="after an epoch"):
        run(Members(task, members, few(), tmp_path / "b"), halving=True)


def test_a_part_is_there_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    def fail(path, state):
        path.mkdir()
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(parts, "save_state", fail)
        with pytest.raises(OSError, match="disk is full"):
            run(make(tmp_path, **SMALL))
    again = make(tmp_path, **SMALL)
    assert again.states() == {}
    run(again)
    assert list(again.states()) == [0]
    (rows,) = (tmp_path / "parts").glob("*/rows.json")
    assert len(json.loads(rows.read_text())) == 2
    assert not math.isnan(again.table()[0][column("loss")])
