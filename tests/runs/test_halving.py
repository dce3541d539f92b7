"""Successive halving: which members continue, and that no epoch is trained twice."""

import jax
import numpy as np
import pytest
from small import flat, make, run

import fdl
from fdl.runs.outcomes import column

SMALL = {"hidden_sizes": (4,)}
PAIRS = {"strategy": "vmap", "members_per_chunk": 2}  # one program for all rounds


def test_halving_trains_the_best_for_longer(tmp_path) -> None:
    rates = np.geomspace(1e-6, 1e-2, 9).tolist()
    options = {"grid": {"learning_rate": rates}, "seeds": 2, "epochs": 9, **SMALL}
    sweep, rows = make(tmp_path, **options), []
    run(sweep, halving=True, on_rows=rows.extend, **PAIRS)
    assert len(rows) == len(sweep.table()), "no epoch is trained twice"
    epochs = {}
    for row in sweep.table():
        epochs.setdefault(row["configuration"], set()).add(row["epoch"])
    trained = sorted(max(one) for one in epochs.values())
    assert trained == [1, 1, 1, 1, 1, 1, 3, 3, 9]
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
    survivors = [number for number in epochs if max(epochs[number]) > 1]
    stopped = [number for number in epochs if max(epochs[number]) == 1]
    assert min(first[n] for n in survivors) >= max(first[n] for n in stopped)
    best = sweep.outcomes()[0]
    assert best.epochs == 9
    # A member that continues equals one that was trained without a break.
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
    run(make(tmp_path, **options), halving=True, on_rows=again.append, **PAIRS)
    assert again == []


def test_halving_needs_equal_epochs(tmp_path) -> None:
    sweep = make(tmp_path, grid={"epochs": [1, 2]})
    with pytest.raises(ValueError, match="do not sweep over them"):
        run(sweep, halving=True)


def diverge(members, which):
    """Record that members diverged in their first epoch, whatever they measured."""
    keep = members.keep

    def note(part, state):
        for row in part.rows:
            if row["member"] in which:
                row["diverged"] = 0
        keep(part, state)

    members.keep = note


def test_halving_drops_a_configuration_with_a_diverged_seed(tmp_path) -> None:
    grid = {"learning_rate": [1e-2, 1e-6, 1e-7]}
    sweep = make(tmp_path, grid=grid, seeds=2, epochs=3, **SMALL)
    diverge(sweep, {1})  # the second seed of the best rate
    run(sweep, halving=True, **PAIRS)
    best, *rest = sweep.outcomes()
    assert best.settings["learning_rate"] < 1e-2
    assert (best.epochs, best.diverged) == (3, 0)
    assert [one.diverged for one in rest] == [0, 1]
    assert {row["epoch"] for row in sweep.table() if row["member"] in (0, 1)} == {1}
    assert sweep.configs[sweep.best()].learning_rate < 1e-2


def test_halving_ends_when_all_diverge(tmp_path) -> None:
    grid = {"learning_rate": [1e36, 1e37, 1e38]}
    sweep = make(tmp_path, "mlp", grid=grid, epochs=6, **SMALL)
    run(sweep, halving=True, **PAIRS)
    assert sweep.best() is None
    assert [one.values for one in sweep.outcomes()] == [[], [], []]
