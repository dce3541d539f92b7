"""The configurations that a sweep tries."""

import dataclasses

import numpy as np
import pytest

from fdl import tasks
from fdl.cli.grids import read_grid, read_ranges
from fdl.runs import space

LSTM = tasks.find("lstm").config()


def combine(grid=(), ranges=(), samples=1, seeds=1, config=LSTM):
    return space.combine(
        config,
        grid=read_grid(config, grid),
        ranges=read_ranges(config, ranges),
        samples=samples,
        seeds=seeds,
    )


def test_a_grid_has_every_combination_and_seed() -> None:
    members = combine(["learning-rate=1e-3,1e-2", "hidden-size=8,16"], seeds=3)
    found = {(m.learning_rate, m.options.hidden_size, m.seed) for m in members}
    assert found == {(r, h, s) for r in (1e-3, 1e-2) for h in (8, 16) for s in range(3)}
    assert len(members) == 12
    assert space.varied(members) == ["learning_rate", "hidden_size"]
    assert space.configurations(members) == [i // 3 for i in range(12)]


def test_values_have_the_types_of_the_defaults() -> None:
    grid = read_grid(
        LSTM, ["bidirectional=true,false", "batch_size=32", "schedule=one-cycle"]
    )
    assert grid == {
        "bidirectional": [True, False],
        "batch_size": [32],
        "schedule": ["one-cycle"],
    }
    vae = tasks.find("vae").config()
    assert read_grid(vae, ["hidden-sizes=400x400,100"]) == {
        "hidden_sizes": [(400, 400), (100,)]
    }


def test_samples_are_drawn_from_their_ranges() -> None:
    ranges = [
        "learning-rate=log:1e-4:1e-2",
        "dropout-rate=lin:0:0.5",
        "hidden-size=lin:8:64",
    ]
    members = combine(ranges=ranges, samples=200)
    rates = np.array([m.learning_rate for m in members])
    assert 1e-4 <= rates.min() < 2e-4
    assert 5e-3 < rates.max() <= 1e-2
    assert 0.35 < np.mean(rates < 1e-3) < 0.65, "its logarithm is uniform"
    assert all(0 <= m.options.dropout_rate <= 0.5 for m in members)
    assert {type(m.options.hidden_size) for m in members} == {int}
    assert members == combine(ranges=ranges, samples=200), "reproducible"
    other = dataclasses.replace(LSTM, seed=1)
    assert (
        members[0].learning_rate
        != combine(ranges=ranges, config=other)[0].learning_rate
    )


def test_members_of_equal_shapes_form_one_group() -> None:
    members = combine(
        ["learning-rate=1e-3,1e-2", "hidden-size=8,16", "dropout-rate=0,0.5"]
    )
    groups = space.groups(members)
    assert len(groups) == 2
    for group in groups:
        sizes = {members[k].options.hidden_size for k in group.members}
        assert len(sizes) == 1
        rates = [members[k].learning_rate for k in group.members]
        np.testing.assert_array_equal(group.hparams["learning_rate"], rates)
        assert set(group.hparams) == {"learning_rate", "dropout_rate"}
    assert sorted(k for group in groups for k in group.members) == list(range(8))
    (only_seeds,) = space.groups(combine(seeds=4))
    assert list(only_seeds.hparams) == ["learning_rate"]
    np.testing.assert_array_equal(only_seeds.hparams["learning_rate"], [1e-3] * 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": ["rate=1"]}, "no setting 'rate'"),
        ({"grid": ["learning-rate"]}, "NAME=VALUES"),
        ({"grid": ["learning-rate=a"]}, "is not of type float"),
        ({"grid": ["hidden-size=1.5"]}, "is not of type int"),
        ({"grid": ["bidirectional=perhaps"]}, "is not of type bool"),
        ({"grid": ["steps=columns"]}, "one of rows, pixels"),
        ({"grid": ["epochs=1,1"]}, "without duplicates"),
        ({"grid": ["epochs=1", "epochs=2"]}, "twice"),
        ({"grid": ["learning-rate=-1"]}, "learning_rate=-1.0"),
        ({"grid": ["batch-size=0"]}, "batch_size=0"),
        ({"ranges": ["learning-rate=1e-4:1e-2"]}, "is not a range"),
        ({"ranges": ["learning-rate=log:0:1"]}, "is not a range"),
        ({"ranges": ["learning-rate=lin:2:1"]}, "is not a range"),
        ({"ranges": ["steps=lin:0:1"]}, "cannot be drawn"),
        ({"samples": 3}, "nothing to draw"),
        ({"samples": 0}, "samples=0"),
        ({"seeds": 0}, "seeds=0"),
        (
            {"grid": ["learning-rate=1e-3"], "ranges": ["learning-rate=log:1e-4:1e-2"]},
            "not both",
        ),
    ],
)
def test_bad_grids_ranges_and_counts_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        combine(**options)
