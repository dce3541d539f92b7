"""Holding out examples for validation."""

import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fdl
from fdl import data
from fdl.data import splits

SHARES = st.floats(0.01, 0.99)
LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(np.array)


def _batch(labels):
    """Return examples whose input encodes their row."""
    index = np.arange(len(labels), dtype=np.float32)
    return fdl.Batch(index[:, None] / 64, labels)


def _numbers(part):
    return np.rint(np.asarray(part.image)[:, 0] * 64).astype(int)


@settings(deadline=None)
@given(labels=LABELS, share=SHARES, seed=st.integers(0, 3))
def test_parts_are_disjoint_complete_ordered_and_stratified(
    labels, share, seed
) -> None:
    total = round(share * len(labels))
    if not 0 < total < len(labels):
        with pytest.raises(data.DataError, match="both parts need at least one"):
            data.hold_out(_batch(labels), share, seed=seed)
        return
    parts = data.hold_out(_batch(labels), share, seed=seed)
    train, validation = map(_numbers, parts)
    assert len(validation) == total
    np.testing.assert_array_equal(
        np.sort(np.concatenate([train, validation])), np.arange(len(labels))
    )
    for part, numbers in zip(parts, (train, validation), strict=True):
        assert (np.diff(numbers) > 0).all()
        np.testing.assert_array_equal(part.label, labels[numbers])
        assert not part.image.flags.writeable
    sizes = np.bincount(labels, minlength=5)
    held = np.bincount(parts[1].label, minlength=5)
    # Each class gives its share, except that a class of two or more gives an example
    # in place of a larger class, if enough are held out.
    exact = sizes * total / len(labels)
    close = np.abs(held - exact) < 1
    assert (close | (held < exact)).all()
    assert close.all() or (held[sizes > 1] > 0).all() or held.max() == 1
    again = data.hold_out(_batch(labels), share, seed=seed)
    np.testing.assert_array_equal(_numbers(again[1]), validation)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 90), min_size=1, max_size=8).map(np.array),
    part=st.floats(0, 1),
)
def test_counts_are_largest_remainders(sizes, part) -> None:
    if not sizes.sum():
        return
    total = int(part * sizes.sum())
    counts = splits.stratified_counts(sizes, total)
    assert counts.sum() == total
    assert (counts <= sizes).all()
    exact = sizes * total / sizes.sum()
    rounded_up = counts > exact + 1e-9
    assert (np.abs(counts - exact) < 1).all()
    remainders = exact - np.floor(exact + 1e-9)
    if rounded_up.any() and not rounded_up.all():
        low = remainders[rounded_up].min()
        assert low >= remainders[~rounded_up].max() - 1e-9


def test_seeds_draw_different_examples_from_the_whole_set() -> None:
    batch = _batch(np.zeros(60, int))
    drawn = [_numbers(data.hold_out(batch, 0.5, seed=seed)[1]) for seed in range(4)]
    assert len({tuple(numbers) for numbers in drawn}) == 4
    assert min(map(min, drawn)) < 10


def test_arrays_without_classes_are_drawn_at_random() -> None:
    pairs = {"inputs": jnp.arange(12.0), "targets": [np.arange(12.0)[:, None]]}
    train, validation = data.hold_out(pairs, 1 / 4)
    assert (len(train["inputs"]), len(validation["inputs"])) == (9, 3)
    for part in (train, validation):
        np.testing.assert_array_equal(part["inputs"], part["targets"][0][:, 0])
    assert set(np.asarray(validation["inputs"]).tolist()) != {9.0, 10.0, 11.0}


def test_the_last_examples_are_a_slice() -> None:
    batch = _batch(np.arange(12) % 3)
    train, validation = data.hold_out(batch, 1 / 4, how="last")
    np.testing.assert_array_equal(_numbers(validation), [9, 10, 11])
    assert np.shares_memory(train.image, batch.image)
    assert np.shares_memory(validation.image, batch.image)
    assert batch.image.flags.writeable
    assert not validation.image.flags.writeable


def test_the_sample_is_stratified_by_a_draw_that_never_changes() -> None:
    whole = data.load("mnist-5k", validation=None)
    loaded = data.load("mnist-5k")
    assert loaded.info == whole.info._replace(train_count=3333, validation_count=667)
    assert (len(loaded.train.label), len(loaded.validation.label)) == (3333, 667)
    assert set(np.bincount(loaded.validation.label)) == {66, 67}
    np.testing.assert_array_equal(
        loaded.validation.image, whole.train.image[loaded.held_out]
    )
    left = np.delete(whole.train.label, loaded.held_out)
    np.testing.assert_array_equal(loaded.train.label, left)
    digest = hashlib.sha256(loaded.held_out.astype("<i8").tobytes()).hexdigest()
    # Everyone who selects a model on this part uses the same examples.
    assert digest[:16] == "ee617b2e77c1ceca"


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf")])
def test_a_bad_share_is_refused_before_anything_is_read(share, monkeypatch) -> None:
    monkeypatch.setattr(data.published, "_load", None)
    message = rf"validation share {share!r} must be .* such as 1/6; .*validation=None"
    with pytest.raises(data.DataError, match=message):
        data.load("mnist", validation=share)
    with pytest.raises(data.DataError, match=message):
        data.hold_out(_batch(np.arange(4)), share)


@pytest.mark.parametrize("share", [0, 1, True, 10_000, "0.1", [0.1], None])
def test_integers_and_other_types_are_not_shares(share) -> None:
    with pytest.raises(data.DataError) as caught:
        splits.require_share(share)
    assert f"validation share {share!r} must be " in str(caught.value)


@pytest.mark.parametrize(("share", "held"), [(1e-5, 0), (0.9999, 4000)])
@pytest.mark.parametrize("name", ["mnist-5k", "python-docs"])
def test_a_share_that_leaves_a_part_empty_is_refused(name, share, held) -> None:
    count = data.load(name, validation=None).info.train_count
    held = held and count
    message = (
        f"validation share {share} of {count} examples holds out {held} and leaves "
        f"{count - held} to train on"
    )
    with pytest.raises(data.DataError, match=message):
        data.load(name, validation=share)


def test_own_arrays_are_checked_first() -> None:
    batch = fdl.Batch(np.zeros((6, 3)), np.arange(5))
    with pytest.raises(data.DataError, match="image has 6, label has 5"):
        data.hold_out(batch)
    with pytest.raises(data.DataError, match=r"how='first'.*'stratified' or 'last'"):
        splits.rows_to_hold_out(_batch(np.arange(4)), 0.5, how="first")


def test_info_survives_json() -> None:
    info = data.load("python-docs").info
    read = json.loads(json.dumps(info._asdict()))
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in read.items()}
    assert data.DatasetInfo(**lists) == info
