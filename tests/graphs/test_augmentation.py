"""Layers that augment images in training, with draws by key, compared with Keras.

Where ranges are single points, outputs are equal. Elsewhere the outputs of many draws
have the same mean and the same spread.
"""

import jax
import numpy as np
import pytest

from fdl.keras import WeightsError, import_model
from graphs.keras_models import MODELS
from lazily import Lazily, keras

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

L = Lazily("keras.layers")
RANDOM = set(
    """flip shear perspective crop elastic erase cut_mix mix_up contrast hue
    rand_augment aug_mix""".split()
)
COUNT = 1000


def trained(model, variables, x, seed=0):
    key = {"dropout": jax.random.key(seed)}
    apply = jax.jit(lambda x: model.apply(variables, x, train=True, rngs=key))
    return apply(x)


def test_outputs_for_ranges_of_one_point_equal_those_of_keras():
    image, outputs = MODELS["augmentation"]()
    outputs = {name: y for name, y in outputs.items() if name not in RANDOM}
    model = keras.Model(image, outputs)
    x = np.random.default_rng(0).integers(0, 256, (3, 11, 13, 3)).astype(np.float32)
    wanted = model(x, training=True)
    found = trained(*import_model(model), x)
    for name in outputs:
        np.testing.assert_allclose(found[name], wanted[name], atol=2e-3, err_msg=name)


WITH_RANGES = {
    "flip": lambda: L.RandomFlip("horizontal", seed=1),
    "flip_both": lambda: L.RandomFlip(seed=1),
    "rotate": lambda: L.RandomRotation((0.05, 0.3), seed=1),
    "translate": lambda: L.RandomTranslation(
        (-0.3, 0.1), 0.2, fill_mode="constant", seed=1
    ),
    "zoom": lambda: L.RandomZoom((-0.4, 0.1), seed=1),
    "shear": lambda: L.RandomShear((0.1, 0.4), (0.0, 0.2), seed=1),
    "perspective": lambda: L.RandomPerspective(0.8, 0.6, seed=1),
    "erase": lambda: L.RandomErasing((0.5, 0.9), (0.1, 0.6), seed=1),
    "erase_with_color": lambda: L.RandomErasing(fill_value=(9.0, 99.0, 199.0), seed=1),
    "cut_mix": lambda: L.CutMix((0.7, 0.7), seed=1),
    "mix_up": lambda: L.MixUp(0.4, seed=1),
    "brightness": lambda: L.RandomBrightness(0.4, seed=1),
    "contrast": lambda: L.RandomContrast((0.3, 0.9), seed=1),
    "saturation": lambda: L.RandomSaturation(0.6, seed=1),
    "hue": lambda: L.RandomHue(0.7, seed=1),
    "degeneration": lambda: L.RandomColorDegeneration((0.1, 0.8), seed=1),
    "grayscale": lambda: L.RandomGrayscale(0.3, seed=1),
    "invert": lambda: L.RandomInvert(0.6, seed=1),
    "posterization": lambda: L.RandomPosterization((2, 6), seed=1),
    "sharpness": lambda: L.RandomSharpness(0.9, seed=1),
    "blur": lambda: L.RandomGaussianBlur((0.2, 0.7), 3, (0.9, 0.9), seed=1),
    "solarization": lambda: L.Solarization((0.1, 0.3), (0.2, 0.7), seed=1),
    "jitter": lambda: L.RandomColorJitter((0, 255), 0.2, 0.4, 0.3, 0.2, seed=1),
}


def images(count, size, channels):
    """Return copies of one random image that differ only in brightness."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (1, size, size, channels)) * np.ones((count, 1, 1, 1))
    return (x * np.linspace(0.5, 1, count)[:, None, None, None]).astype(np.float32)


def both(make, x):
    """Return the outputs of a layer in training, in fdl and in Keras."""
    image = L.Input(x.shape[1:])
    model = keras.Model(image, make()(image))
    return trained(*import_model(model), x), model(x, training=True)


def assert_same_mean_and_spread(x, found, wanted):
    found, wanted = (np.asarray(side, np.float64) for side in (found, wanted))
    assert np.abs(found - x).max() > 1
    for power in (1, 2):
        ours, theirs = ((side / 255) ** power for side in (found, wanted))
        spread = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / len(x))
        far = np.abs(ours.mean(axis=0) - theirs.mean(axis=0))
        assert (far <= 5 * spread + 1e-6).all(), (far / (spread + 1e-9)).max()


@pytest.mark.parametrize("name", WITH_RANGES)
def test_draws_have_the_same_mean_and_spread(name):
    x = images(COUNT, 6, 3)
    found, wanted = both(WITH_RANGES[name], x)
    assert_same_mean_and_spread(x, found, wanted)


def test_elastic_transforms_have_the_same_mean_and_spread():
    x = images(150, 20, 1)  # Keras transforms them one by one
    make = lambda: L.RandomElasticTransform(
        (1.0, 1.0), (1.0, 1.0), fill_mode="nearest", seed=1
    )
    found, wanted = both(make, x)
    assert_same_mean_and_spread(x, found, wanted)
    mean = lambda side: np.abs(np.asarray(side) - x).mean()
    np.testing.assert_allclose(mean(found), mean(wanted), rtol=0.1)


def outputs_by_key(layer, x, calls):
    """Return the outputs of a layer in training, for many keys."""
    image = L.Input(x.shape[1:])
    model, variables = import_model(keras.Model(image, layer(image)))
    apply = lambda key: model.apply(variables, x, train=True, rngs={"dropout": key})
    return np.asarray(
        jax.jit(jax.vmap(apply))(jax.random.split(jax.random.key(0), calls))
    )


def test_all_crops_are_equally_likely():
    x = np.arange(2 * 7 * 8 * 1, dtype=np.float32).reshape(2, 7, 8, 1)
    found = outputs_by_key(L.RandomCrop(5, 6), x, 600)
    starts = found[:, 0, 0, 0, 0].astype(int)
    windows = {top * 8 + left for top in range(3) for left in range(3)}
    assert set(starts) == windows
    assert np.bincount(starts)[sorted(windows)].min() > 40
    for start, crop in zip(starts, found, strict=True):
        top, left = divmod(start, 8)
        np.testing.assert_array_equal(crop, x[:, top : top + 5, left : left + 6])


def test_a_batch_shares_one_sigma():
    x = np.zeros((3, 9, 9, 1), np.float32)
    x[:, 4, 4] = 100
    found = outputs_by_key(L.RandomGaussianBlur((1.0, 1.0), 5, (0.2, 1.0)), x, 200)
    assert (np.ptp(found, axis=1) == 0).all(), "all images of a batch are blurred alike"
    assert np.ptp(found[:, 0, 4, 4]) > 50
    bent = outputs_by_key(L.RandomElasticTransform(scale=(0.2, 1.0)), x + 1, 50)
    assert np.isfinite(bent).all()
    assert bent.std(axis=0).max() > 1


# The changes at strength 0: most do nothing, some have only one strength.
CHANGES = [
    lambda x: x,
    lambda x: L.RandomSharpness(0.0)(x),
    lambda x: L.RandomPosterization(1)(x),
    lambda x: L.Solarization()(x),
    lambda x: L.AutoContrast()(x),
    lambda x: L.Equalization()(x),
]


@pytest.mark.parametrize(
    ("layer", "options", "nothing", "count"),
    [
        ("RandAugment", {"num_ops": 1}, 6, 11),
        ("AugMix", {"num_chains": 1, "chain_depth": 1}, 7, 12),
    ],
)
def test_changes_are_drawn_at_the_right_rates(layer, options, nothing, count):
    layer = getattr(L, layer)(factor=0.0, **options)
    x = np.random.default_rng(0).integers(20, 200, (2, 6, 5, 3)).astype(np.float32)
    wanted = np.stack([np.asarray(change(x)) for change in CHANGES]) - x
    found = outputs_by_key(layer, x, 400) - x
    share = (found * wanted[:, None]).sum((2, 3, 4, 5)) / np.maximum(
        (wanted**2).sum((1, 2, 3, 4)), 1
    )[:, None]  # the weight of each change in the mix
    far = np.abs(found - share[..., None, None, None, None] * wanted[:, None])
    same = far.max((2, 3, 4, 5)) < 0.02
    assert same.any(0).all()
    which = same.argmax(0)
    counts = np.bincount(which, minlength=len(CHANGES))
    rates = np.array([nothing, count - nothing - 4, 1, 1, 1, 1]) / count
    assert (np.abs(counts - 400 * rates) <= 5 * np.sqrt(400 * rates)).all()


def test_equalization_with_another_value_range():
    x = np.random.default_rng(0).integers(0, 256, (2, 9, 6, 3)).astype(np.float32)
    options = {"tile_grid_size": (2, 3), "clip_limit": 3.0}
    in_bytes, in_floats = (
        L.ContrastLimitedAdaptiveHistogramEqualization(ends, **options)
        for ends in ((0, 255), (-1, 1))
    )
    found = outputs_by_key(in_floats, x / 127.5 - 1 + 1e-3, 1)[0]
    np.testing.assert_allclose((found + 1) * 127.5, in_bytes(x), atol=1e-3)


def test_chains_have_the_right_length():
    x = np.random.default_rng(0).integers(20, 200, (2, 6, 5, 3)).astype(np.float32)
    found = outputs_by_key(L.AugMix((0, 255), 2, 2, factor=0.0, all_ops=False), x, 800)
    # Four of eight changes do nothing. If all four that are drawn are among them, so is
    # their mix.
    same = (np.abs(found - x) < 1e-3).all((1, 2, 3, 4))
    assert abs(same.sum() - 800 / 16) <= 5 * np.sqrt(800 / 16)


def test_chains_of_changes_are_mixed():
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3)).astype(np.float32)
    found = outputs_by_key(L.AugMix((0, 255), 2, 1, factor=0.5, all_ops=False), x, 50)
    assert len({each.tobytes() for each in found}) == 50
    assert found.min() >= 0
    assert found.max() <= 255


def test_inputs_that_are_not_images_are_refused():
    x = L.Input((8, 8))
    with pytest.raises(
        WeightsError, match=r"take images of shape \(batch, height, width"
    ):
        import_model(keras.Model(x, L.RandomBrightness(0.2)(x)))


def test_invalid_ranges_are_refused():
    x = L.Input((8, 8, 3))
    layer = L.RandomRotation(0.2)
    model = keras.Model(x, layer(x))
    layer.factor = (0.2, "x")
    with pytest.raises(WeightsError, match=r"factor=.*must be a finite number"):
        import_model(model)
