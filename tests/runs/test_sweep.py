"""Sweeps: every member is trained once, kept, and taken up again."""

import csv
import dataclasses
import json
import math

import jax
import numpy as np
import pytest
from small import configs, few, flat, make, run

import fdl
from fdl import tasks
from fdl.runs import RunError, parts
from fdl.runs.members import Members
from fdl.runs.outcomes import column

GRID = {"learning_rate": [1e-3, 1e-2], "hidden_size": [4, 8]}


def test_members_are_what_single_runs_are(tmp_path) -> None:
    sweep = make(tmp_path, "lstm", grid=GRID, seeds=2)
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
    sweep = make(tmp_path, seeds=2)
    run(sweep)
    with (tmp_path / "members.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[3][column("accuracy")]) == sweep.table()[3][column("accuracy")]
    assert rows[3]["seed"] == "1"


def test_an_interrupted_sweep_goes_on(tmp_path) -> None:
    whole = make(tmp_path / "whole", seeds=5)
    run(whole, members_per_chunk=2)

    class Interrupted(Exception):
        pass

    seen = []

    def interrupt(rows):
        seen.extend(row["member"] for row in rows)
        if len({row["member"] for row in rows} - {0, 1}) and len(seen) > 6:
            raise Interrupted

    broken = make(tmp_path / "broken", seeds=5)
    with pytest.raises(Interrupted):
        run(broken, members_per_chunk=2, on_rows=interrupt)
    done = set(make(tmp_path / "broken", seeds=5).states())
    assert 0 < len(done) < 5
    trained = []
    again = make(tmp_path / "broken", seeds=5)
    run(again, members_per_chunk=2, on_rows=lambda rows: trained.extend(rows))
    assert {row["member"] for row in trained} == set(range(5)) - done
    kept, wanted = again.states(), whole.states()
    for k in range(5):
        np.testing.assert_allclose(flat(kept[k]), flat(wanted[k]), atol=2e-4)
    assert len(again.table()) == len(whole.table()) == 10
    nothing = []
    run(make(tmp_path / "broken", seeds=5), on_rows=nothing.append)
    assert nothing == []


def test_a_measure_of_the_task_itself_is_taken_at_the_end(
    tmp_path, monkeypatch
) -> None:
    dataset, given = few(), []

    def finish(trained, dataset, folder):
        given.append(dataset.test)
        return {"frechet_distance": float(trained.config.seed)}

    task = dataclasses.replace(tasks.find("gan"), finish=finish)
    members = configs("gan", seeds=2, epochs=1, architecture="dense", latent_size=4)
    sweep = Members(task, members, dataset, tmp_path)
    run(sweep)
    assert [one is dataset.validation for one in given] == [True, True]
    (outcome,) = sweep.outcomes()
    assert outcome.values == [0.0, 1.0]
    assert sweep.best() == 0, "the smallest is the best"
    sweep.test()
    assert [one is dataset.test for one in given[2:]] == [True, True]
    assert sweep.outcomes()[0].test_values == [0.0, 1.0]
    with pytest.raises(ValueError, match="after each epoch"):
        run(Members(task, members, few(), tmp_path / "b"), halving=True)


def test_a_part_is_there_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    def fail(path, state):
        path.mkdir()
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(parts, "save_state", fail)
        with pytest.raises(OSError, match="disk is full"):
            run(make(tmp_path))
    again = make(tmp_path)
    assert again.states() == {}
    run(again)
    assert list(again.states()) == [0]
    (rows,) = (tmp_path / "parts").glob("*/rows.json")
    assert len(json.loads(rows.read_text())) == 2
    assert not math.isnan(again.table()[0][column("loss")])


@pytest.mark.parametrize("name", ["members.json", "rows.json", "state"])
def test_a_damaged_part_says_which_it_is(tmp_path, name) -> None:
    run(make(tmp_path, epochs=1))
    (part,) = (tmp_path / "parts").iterdir()
    damaged = part / name
    file = damaged / "_METADATA" if name == "state" else damaged
    file.write_text("{")
    with pytest.raises(RunError, match=f"{part}/{name}"):
        make(tmp_path, epochs=1).states()
