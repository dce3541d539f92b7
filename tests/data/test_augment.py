"""Augmentation: what each random change does to images and batches."""

import functools

import jax
import numpy as np
import pytest

from fdl.arrays import Batch
from fdl.data import DataError, augment

KEYS = jax.random.split(jax.random.key(0), 60)
DOT = np.zeros((7, 6, 2), np.float32)
DOT[3, 2] = 1, 0.5
RAMP = np.arange(5 * 6 * 2, dtype=np.float32).reshape(5, 6, 2) / 60

CHANGES = {
    "shift": augment.shift(2, fill=0.25),
    "crop": augment.crop(2),
    "flip": augment.flip(),
    "rotate": augment.rotate(30.0),
    "cutout": augment.cutout(3),
    "noise": augment.noise(0.1),
    "brightness": augment.brightness(0.2),
    "contrast": augment.contrast(0.5),
}
CHANGES["composed"] = augment.compose(*(CHANGES[x] for x in ("shift", "flip", "noise")))


@functools.cache
def program(change):
    return jax.jit(jax.vmap(change, (0, None)))


def draws(change, image):
    """Apply a change to one image with sixty keys."""
    return np.asarray(program(change)(KEYS, image))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_a_pure_function_of_one_example(name) -> None:
    change = CHANGES[name]
    found = draws(change, RAMP)
    assert found.shape == (60, *RAMP.shape)
    assert found.dtype == np.float32
    assert len({image.tobytes() for image in found}) > 1
    # Without vmap, and for single changes without jit.
    alone = jax.jit(change) if name == "composed" else change
    np.testing.assert_allclose(found[7], alone(KEYS[7], RAMP), atol=1e-6)
    # 8-bit pixels are scaled to [0, 1].
    bytes_ = np.rint(RAMP * 255).astype(np.uint8)
    np.testing.assert_allclose(
        draws(change, bytes_), draws(change, bytes_ / np.float32(255)), atol=1e-6
    )


def test_a_shift_moves_the_pixels() -> None:
    found = draws(augment.shift(1), DOT)
    places = {tuple(np.argwhere(image[..., 0])[0]) for image in found}
    assert places == {(3 + y, 2 + x) for y in (-1, 0, 1) for x in (-1, 0, 1)}
    assert (found.sum(axis=(1, 2)) == [1, 0.5]).all()
    for image in draws(augment.shift(2, fill=9.0), RAMP):
        rows, columns = np.nonzero(image[..., 0] != 9)
        seen = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        top, left = np.argwhere((seen[0, 0] == RAMP).all(-1))[0]
        np.testing.assert_array_equal(
            seen, RAMP[top : top + len(seen), left : left + seen.shape[1]]
        )


def test_a_crop_is_a_window_of_the_padded_image() -> None:
    padded = np.pad(RAMP, ((2, 2), (2, 2), (0, 0)), "reflect")
    windows = {
        padded[top : top + 5, left : left + 6].tobytes()
        for top in range(5)
        for left in range(5)
    }
    found = {image.tobytes() for image in draws(augment.crop(2), RAMP)}
    assert found <= windows
    assert len(found) > 15
    edge = draws(augment.crop(3, mode="edge"), np.ones((4, 4, 1), np.float32))
    assert (edge == 1).all()


def test_a_flip_is_its_own_inverse() -> None:
    mirror = augment.flip(1.0)
    np.testing.assert_array_equal(mirror(KEYS[0], RAMP), RAMP[:, ::-1])
    twice = augment.compose(mirror, mirror)
    np.testing.assert_array_equal(twice(KEYS[0], RAMP), RAMP)
    found = draws(augment.flip(), RAMP)
    mirrored = (found == RAMP[:, ::-1]).all(axis=(1, 2, 3))
    assert (found[~mirrored] == RAMP).all()
    assert 15 < mirrored.sum() < 45
    np.testing.assert_array_equal(augment.flip(0.0)(KEYS[0], RAMP), RAMP)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("quarters", [-1, 0, 1, 2])
def test_a_quarter_turn_equals_numpys(size, quarters) -> None:
    image = np.random.default_rng(0).random((size, size, 2), np.float32)
    change = jax.jit(augment.rotate((90.0 * quarters, 90.0 * quarters)))
    np.testing.assert_allclose(
        change(KEYS[0], image), np.rot90(image, quarters), atol=1e-5
    )


def test_angles_are_within_the_limits_in_both_directions() -> None:
    image = np.zeros((21, 21, 1), np.float32)
    image[10, 20] = 1  # on the right; counterclockwise is up
    heights = []
    for turned in draws(augment.rotate(45.0), image)[..., 0]:
        y, x = np.unravel_index(turned.argmax(), turned.shape)
        heights.append(np.degrees(np.arctan2(10 - y, x - 10)))
    assert -48 < min(heights) < -25
    assert 25 < max(heights) < 48
    corner = draws(augment.rotate((30.0, 60.0), fill=0.5), image)[:, 0, 0]
    np.testing.assert_allclose(corner, 0.5)


def test_a_cutout_hides_one_whole_square() -> None:
    corners = set()
    for image in draws(augment.cutout(3), np.ones((8, 6, 2), np.float32)):
        rows, columns = np.nonzero(image[..., 0] == 0)
        assert len(rows) == 9
        assert np.ptp(rows) == np.ptp(columns) == 2
        assert (image[..., 1] == image[..., 0]).all()
        corners.add((rows.min(), columns.min()))
    assert {y for y, _ in corners} == set(range(6))
    assert {x for _, x in corners} == set(range(4))
    hidden = augment.cutout(5, fill=0.5)(KEYS[0], np.ones((5, 5, 1), np.uint8))
    assert (np.asarray(hidden) == 0.5).all()


def test_strengths_have_their_documented_meaning() -> None:
    noisy = draws(augment.noise(0.1), RAMP) - RAMP
    assert abs(noisy.mean()) < 0.01
    assert noisy.std() == pytest.approx(0.1, abs=0.005)
    brighter = draws(augment.brightness(0.2), RAMP) - RAMP
    delta = brighter.mean(axis=(1, 2, 3))
    assert np.ptp(brighter, axis=(1, 2, 3)).max() < 1e-6
    assert -0.2 <= delta.min() < -0.15
    assert 0.15 < delta.max() <= 0.2
    flat = draws(augment.contrast(0.5), RAMP)
    means = RAMP.mean(axis=(0, 1))[None].repeat(60, axis=0)
    np.testing.assert_allclose(flat.mean(axis=(1, 2)), means, rtol=1e-6)
    scale = flat.std(axis=(1, 2)) / RAMP.std(axis=(0, 1))
    assert 0.5 <= scale.min() < 0.6
    assert 1.4 < scale.max() <= 1.5001


def test_changes_of_strength_zero_do_nothing() -> None:
    nothing = (
        augment.shift(0),
        augment.crop(0),
        augment.flip(0.0),
        augment.rotate(0.0),
        augment.cutout(0),
        augment.noise(0.0),
        augment.brightness(0.0),
        augment.contrast(0.0),
    )
    for change in (*nothing, augment.compose(*nothing), augment.compose()):
        np.testing.assert_allclose(change(KEYS[0], RAMP), RAMP, atol=1e-6)


def test_composed_changes_draw_independently() -> None:
    noise = augment.compose(augment.noise(1.0), augment.noise(1.0))
    sums = draws(noise, np.zeros((8, 8, 1), np.float32))
    assert sums.std() == pytest.approx(np.sqrt(2), abs=0.05)  # 2, if they were equal


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: augment.shift(-1), "distance=-1"),
        (lambda: augment.crop(-2), "padding=-2"),
        (lambda: augment.flip(1.5), r"probability=1\.5"),
        (lambda: augment.rotate(-3.0), r"degrees=-3\.0"),
        (lambda: augment.rotate((3.0, 2.0)), r"degrees=\(3\.0, 2\.0\)"),
        (lambda: augment.rotate(float("nan")), "degrees=nan"),
        (lambda: augment.cutout(-1), "size=-1"),
        (lambda: augment.cutout(7)(KEYS[0], DOT), "size=7 must be at most 6.*7 x 6"),
        (lambda: augment.noise(-1.0), r"stddev=-1\.0"),
        (lambda: augment.brightness(-1.0), r"delta=-1\.0"),
        (lambda: augment.contrast(2.0), r"factor=2\.0"),
        (lambda: augment.mixup(0.0), r"alpha=0\.0"),
    ],
)
def test_strengths_out_of_range_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("image", [DOT[..., 0], DOT.astype(np.int32), DOT[None]])
@pytest.mark.parametrize("name", CHANGES)
def test_inputs_other_than_one_image_are_refused(name, image) -> None:
    with pytest.raises(DataError, match=r"shape \(.*\) and dtype .*8-bit"):
        CHANGES[name](KEYS[0], image)


BATCH = Batch(
    np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), np.uint8),
    np.arange(10, dtype=np.int32) % 3,
)


def test_mixup_combines_two_examples_and_their_targets() -> None:
    mixup = augment.mixup(0.4, num_classes=3)
    x = BATCH.image.astype(np.float32) / 255
    scores = np.log(np.random.default_rng(0).dirichlet(np.ones(3), 10))
    loss = lambda targets: -(targets * scores).sum(-1).mean()
    shares = []

    @jax.jit
    def drawn(key):
        share_key, order_key = jax.random.split(key)
        share = jax.random.beta(share_key, 0.4, 0.4)
        return mixup(key, BATCH), share, jax.random.permutation(order_key, 10)

    for key in KEYS[:20]:
        found, share, order = jax.tree.map(np.asarray, drawn(key))
        assert isinstance(found, Batch)
        np.testing.assert_allclose(found.label.sum(axis=-1), 1, rtol=1e-6)
        shares.append(share)
        np.testing.assert_allclose(
            found.image, share * x + (1 - share) * x[order], atol=1e-6
        )
        each = [loss(np.eye(3)[label]) for label in (BATCH.label, BATCH.label[order])]
        mixed = share * each[0] + (1 - share) * each[1]
        assert float(loss(found.label)) == pytest.approx(float(mixed), rel=1e-4)
    assert min(shares) < 0.1
    assert max(shares) > 0.9


def test_mixup_takes_pairs_by_position_and_by_name() -> None:
    mixup = augment.mixup(1.0)
    inputs = {"a": np.eye(4, dtype=np.float32), "b": np.eye(4, 7, dtype=np.float32)}
    targets = np.arange(8.0, dtype=np.float32).reshape(4, 2), np.eye(4) > 0
    named = mixup(KEYS[0], {"inputs": inputs, "targets": targets})
    plain = mixup(KEYS[0], (inputs, targets))
    assert isinstance(plain, tuple)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), [*named.values()], [*plain])
    assert all(jax.tree.leaves(same))
    np.testing.assert_allclose(plain[0]["a"], plain[1][1], atol=1e-6)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((np.eye(4), np.arange(4)), "dtype int64.*num_classes"),
        ((np.eye(4, dtype=int), np.ones(4)), "inputs of dtype int64"),
        ((np.eye(4), np.ones(4), np.ones(4)), "not a tuple of 3: .*weights"),
        ({"inputs": np.eye(4), "labels": np.ones(4)}, "not a dict of 2"),
        (np.eye(4), "not a ndarray of 4"),
    ],
)
def test_batches_that_mixup_cannot_combine_are_refused(batch, message) -> None:
    with pytest.raises(DataError, match=message):
        augment.mixup(1.0)(KEYS[0], batch)


def test_labels_out_of_range_give_nan_in_mixup() -> None:
    batch = (np.zeros((4, 2), np.float32), np.array([0, 1, 2, -1]))
    found = augment.mixup(1.0, num_classes=2)(KEYS[0], batch)[1]
    assert 2 <= np.isnan(found).any(axis=-1).sum() <= 4
