"""Which configuration is best: one rule, in the order, in tables and for the best."""

import math

import pytest
from small import make, run

from fdl.runs import Sweep
from fdl.runs.outcomes import Outcome, column, outcome, ranked
from fdl.runs.sweep_report import cells


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


def measured(members, values, diverged=()):
    """Take note of members' accuracies, as if they had been trained."""
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
def one_fell(tmp_path):
    """Three rates with two seeds each; a seed of the best one diverged."""
    grid = {"learning_rate": [1e-3, 1e-2, 1e-1]}
    members = make(tmp_path, "mlp", grid=grid, seeds=2)
    return measured(members, [0.9, 0.9, 0.5, 0.6, 0.3, 0.4], diverged={1})


def test_a_table_puts_a_diverged_seed_last_and_says_so(one_fell, tmp_path) -> None:
    outcomes = one_fell.outcomes()
    sweep = Sweep(tmp_path, "accuracy", "max", outcomes, None, {}, one_fell.table())
    lines = [cells(sweep, one) for one in sweep.outcomes]
    assert [line["learning rate"] for line in lines] == ["0.01", "0.1", "0.001"]
    assert [line["seeds"] for line in lines] == ["2", "2", "1 (and 1 diverged)"]
    assert lines[2]["validation accuracy"] == "90.00%", "of the seed that is left"


def test_the_best_member_is_of_a_configuration_that_did_not_diverge(one_fell) -> None:
    assert one_fell.best() == 3


def test_where_all_configurations_diverged_a_finite_member_is_the_best(
    tmp_path,
) -> None:
    members = make(tmp_path, "mlp", grid={"learning_rate": [1e-3, 1e-2]}, seeds=2)
    measured(members, [0.9, math.nan, math.nan, 0.5], diverged={1, 2})
    assert members.best() == 0
    measured(members, [math.nan] * 4, diverged={0, 1, 2, 3})
    assert members.best() is None
