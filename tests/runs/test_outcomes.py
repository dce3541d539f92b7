"""Ranking of configurations: one rule for outcomes, tables and the best member."""

import math

import pytest
from small import make, run

from fdl.runs import Sweep
from fdl.runs.outcomes import Outcome, column, outcome, ranked
from fdl.runs.sweep_report import cells


def outcome_of(number, *values, epochs=9, of=9) -> Outcome:
    """Return an outcome, given a value for each seed, None for a diverged one."""
    rows = [
        {"seed": seed, "epoch": epochs, "diverged": 3}
        if value is None
        else {"seed": seed, "epoch": epochs, "diverged": -1, column("loss"): value}
        for seed, value in enumerate(values)
    ]
    return outcome(number, {}, of, rows, "loss")


def test_configurations_with_diverged_seeds_rank_last() -> None:
    outcomes = [
        outcome_of(0, 0.1, None),
        outcome_of(1, 0.9, 0.9),
        outcome_of(2, None, None),
        outcome_of(3, 0.5, 0.6),
        outcome_of(4, 0.05, None),
        outcome_of(5, 0.2, 0.2, epochs=3),
    ]
    found = ranked(outcomes, "min")
    assert [one.number for one in found] == [3, 1, 5, 4, 0, 2]
    assert [one.diverged for one in found] == [0, 0, 0, 1, 1, 2]
    assert found[4].summary.mean == 0.1, "the mean of the finite seeds"
    assert found[4].seeds == [0]
    largest = ranked(outcomes, "max")
    assert [one.number for one in largest] == [1, 3, 5, 0, 4, 2]


def test_requesting_more_epochs_does_not_rank_higher() -> None:
    few, many = outcome_of(0, 0.1, epochs=2, of=2), outcome_of(1, 0.5, epochs=9, of=9)
    assert [one.number for one in ranked([few, many], "min")] == [0, 1]


def test_outcomes_are_sorted_and_leave_out_diverged_seeds(tmp_path) -> None:
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


def measured(members, values, diverged=()):
    """Record accuracies of members, as if they had been trained."""
    for k, (config, value) in enumerate(zip(members.configs, values, strict=True)):
        row = {
            "member": k,
            "configuration": members.numbers[k],
            "seed": config.seed,
            "epoch": config.epochs,
            "diverged": 7 if k in diverged else -1,
        }
        members.rows[k, config.epochs] = row | {column("accuracy"): value}
    return members


@pytest.fixture
def one_diverged(tmp_path):
    """Three learning rates with two seeds each; a seed of the best rate diverged."""
    grid = {"learning_rate": [1e-3, 1e-2, 1e-1]}
    members = make(tmp_path, "mlp", grid=grid, seeds=2)
    return measured(members, [0.9, 0.9, 0.5, 0.6, 0.3, 0.4], diverged={1})


def test_tables_list_diverged_configurations_last(one_diverged, tmp_path) -> None:
    outcomes = one_diverged.outcomes()
    sweep = Sweep(tmp_path, "accuracy", "max", outcomes, None, {}, one_diverged.table())
    lines = [cells(sweep, one) for one in sweep.outcomes]
    assert [line["learning rate"] for line in lines] == ["0.01", "0.1", "0.001"]
    assert [line["seeds"] for line in lines] == ["2", "2", "1 (and 1 diverged)"]
    assert lines[2]["validation accuracy"] == "90.00%", "of the finite seed"


def test_the_best_member_is_of_a_finite_configuration(one_diverged) -> None:
    assert one_diverged.best() == 3


def test_if_all_configurations_diverged_a_finite_member_is_the_best(
    tmp_path,
) -> None:
    members = make(tmp_path, "mlp", grid={"learning_rate": [1e-3, 1e-2]}, seeds=2)
    measured(members, [0.9, math.nan, math.nan, 0.5], diverged={1, 2})
    assert members.best() == 0
    measured(members, [math.nan] * 4, diverged={0, 1, 2, 3})
    assert members.best() is None
