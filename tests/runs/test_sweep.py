"""Members of a sweep: trained like single runs, and recorded in a table."""

import csv
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import configs, few, flat, make, run

import fdl
from fdl import tasks
from fdl.learner import State
from fdl.runs.chunks import Round, _Keeper
from fdl.runs.members import Members
from fdl.runs.outcomes import column
from fdl.train import Epoch

GRID = {"learning_rate": [1e-3, 1e-2], "hidden_size": [4, 8]}


def test_members_equal_single_runs(tmp_path) -> None:
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


def test_a_late_divergence_is_recorded_in_all_rows_of_its_member(tmp_path) -> None:
    members = make(tmp_path, seeds=2)
    keeper = _Keeper(members, Round(), [0, 1], lambda rows: None, None)
    keeper.on_start("vmap", 2)
    state = State(jnp.int32([3, 3]), {}, jax.random.split(jax.random.key(0)))
    for epoch, fell in ((1, -1), (2, 4)):
        running, losses = np.array([True, fell < 0]), {"loss": np.ones(2)}
        diverged = np.array([-1, fell])
        line = Epoch(epoch, 3 * epoch, running, losses, {}, 0.1, diverged)
        keeper.on_epoch(np.arange(2), line, state)
    found = [(row["member"], row["diverged"]) for row in members.table()]
    assert found == [(0, -1), (0, -1), (1, 4), (1, 4)]


def test_the_table_is_a_csv_file(tmp_path) -> None:
    sweep = make(tmp_path, seeds=2)
    run(sweep)
    with (tmp_path / "members.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[3][column("accuracy")]) == sweep.table()[3][column("accuracy")]
    assert rows[3]["seed"] == "1"


def test_a_metric_computed_by_the_task_is_measured_at_the_end(
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
