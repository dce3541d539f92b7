"""The `gan` task, and the feature extractor that evaluates its images."""

import dataclasses
import hashlib

import jax
import numpy as np
import pytest
from PIL import Image

from fdl import data, models, tasks
from fdl.keras.rules import OptimizerState
from fdl.tasks import draw_state, feature_extractor, outline
from fdl.tasks.gan import GANOptions, gan
from fdl.tasks.generated import measure_generated
from fdl.weights import WeightsError


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist-5k", validation=None)


@pytest.fixture(scope="module")
def trained(digits):
    """An untrained run."""
    options = GANOptions(latent_size=8, width=2)
    config = gan.config(dataset="mnist-5k", options=options)
    run = outline(gan, config, digits.info)
    return dataclasses.replace(run, state=draw_state(run))


def test_the_feature_extractor_classifies_digits(digits) -> None:
    found = feature_extractor.extract(digits.test.image)
    right = np.asarray(found.probabilities).argmax(axis=-1) == digits.test.label
    assert right.mean() > 0.98
    assert found.features.shape == (1000, 64)
    assert found.features.min() == 0
    scaled = feature_extractor.extract(
        digits.test.image[:10] / np.float32(255), batch_size=3
    )
    np.testing.assert_allclose(
        scaled.features, found.features[:10], rtol=1e-4, atol=1e-4
    )


def test_a_damaged_feature_extractor_is_refused(monkeypatch, tmp_path) -> None:
    content = bytearray(feature_extractor.FILE.read_bytes())
    assert hashlib.sha256(content).hexdigest() == feature_extractor.SHA256
    content[-1] ^= 1
    (tmp_path / "feature_extractor.safetensors").write_bytes(content)
    monkeypatch.setattr(
        feature_extractor, "FILE", tmp_path / "feature_extractor.safetensors"
    )
    feature_extractor._variables.cache_clear()
    with pytest.raises(WeightsError, match="is damaged: its sha256"):
        feature_extractor.extract(np.zeros((1, 28, 28, 1), np.uint8))
    feature_extractor._variables.cache_clear()


def test_metrics_are_good_for_real_digits_and_bad_for_noise(digits) -> None:
    rng = np.random.default_rng(0)
    rows = rng.choice(len(digits.train.label), 1000, replace=False)
    real = digits.train.image[rows].astype(np.float32) / 255
    noise = rng.random((1000, 28, 28, 1), np.float32)
    good, bad = (measure_generated(digits, images) for images in (real, noise))
    assert good["frechet_distance"] < 0.02 * bad["frechet_distance"]
    assert good["frechet_infinity"] < good["frechet_distance"]
    assert min(good["precision"], good["recall"]) > 0.8
    assert bad["recall"] < 0.1
    assert good["classes"] == 10
    assert good["class_variation"] < 0.05
    assert good["memorization"] == 0, "they are training images"
    assert bad["memorization"] > 1


def test_other_datasets_are_evaluated_without_class_metrics(digits) -> None:
    info = digits.info._replace(name="fashion_mnist")
    images = digits.test.image[:100] / np.float32(255)
    measured = measure_generated(digits._replace(info=info), images)
    assert "frechet_distance" in measured
    assert "classes" not in measured


def test_pictures_show_the_same_latents_after_each_epoch(
    trained, digits, tmp_path
) -> None:
    gan.draw(trained, digits, tmp_path, 1)
    gan.draw(trained, digits, tmp_path, 2)
    moved = jax.tree.map(lambda x: x + 0.1, trained.state.extra)
    state = trained.state._replace(extra=moved)
    trained = dataclasses.replace(trained, state=state)
    gan.draw(trained, digits, tmp_path, 3)
    files = [tmp_path / f"samples/epoch-00{epoch}.png" for epoch in (1, 2, 3)]
    first, second, third = (file.read_bytes() for file in files)
    assert first == second, "nothing was learned in between"
    assert third != first
    few = digits._replace(test=jax.tree.map(lambda x: x[:100], digits.test))
    measured = gan.finish(trained, few, tmp_path)
    assert gan.metric in measured
    with Image.open(tmp_path / "samples.gif") as moving:
        assert moving.is_animated
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.size == (690, 690)


def test_generated_images_depend_on_the_key(trained) -> None:
    generate = lambda seed: gan.generate(
        trained, jax.random.key(seed), tasks.Sampling(5)
    )
    images = generate(0)
    assert images.shape == (5, 28, 28, 1)
    assert 0 <= images.min() < images.max() <= 1
    np.testing.assert_array_equal(images, generate(0))
    assert not np.array_equal(images, generate(1))


def test_the_exported_generator_is_the_averaged_one(trained) -> None:
    doubled = jax.tree.map(lambda x: 2 * x, trained.state.extra)
    state = trained.state._replace(extra=doubled)
    trained = dataclasses.replace(trained, state=state)
    parts = gan.parts(trained)
    part = parts["generator"]
    z = np.ones((2, 8), np.float32)
    images = part.model.apply(part.variables, z)
    wanted = trained.learner.predict(trained.state, z)
    np.testing.assert_allclose((images + 1) / 2, wanted, rtol=1e-5, atol=1e-6)
    part = parts["discriminator"]
    assert part.model.apply(part.variables, *part.inputs).shape == (1, 1)


@pytest.mark.parametrize(
    ("loss", "beta_1", "beta_2"),
    [
        ("non_saturating", 0.5, 0.999),
        ("wasserstein_gp", 0.0, 0.9),
    ],
)
def test_adam_has_the_betas_of_the_loss(loss, beta_1, beta_2, digits) -> None:
    """After one step, m = (1 - beta_1) g and v = (1 - beta_2) g^2, whatever g is."""
    options = GANOptions(
        architecture="dense", loss=loss, latent_size=5, discriminator_steps=1
    )
    config = gan.config(dataset="mnist-5k", options=options)
    run = outline(gan, config, digits.info)
    batch = jax.tree.map(lambda x: x[:8], digits.train)
    state, _ = jax.jit(run.learner.step)(draw_state(run), batch)
    is_adam = lambda x: isinstance(x, OptimizerState)
    adams = list(filter(is_adam, jax.tree.leaves(state.opt_state, is_leaf=is_adam)))
    assert len(adams) == 2, "of the generator and of the discriminator"
    for adam in adams:
        assert adam.iterations == 1
        m, v = (
            np.concatenate([np.ravel(x) for x in jax.tree.leaves(adam.slots[name])])
            for name in ("momentum", "velocity")
        )
        seen = abs(m) > 1e-6
        assert seen.any()
        ratio = v[seen] / m[seen] ** 2
        np.testing.assert_allclose(ratio, (1 - beta_2) / (1 - beta_1) ** 2, rtol=1e-3)


def test_options_choose_models_and_loss(digits) -> None:
    options = GANOptions(architecture="dense", loss="wasserstein_gp", latent_size=5)
    found = gan.make_model(options, digits.info)
    assert found == (models.DenseGenerator(), models.DenseDiscriminator())
    steps = set()
    for loss in ("minimax", "least_squares", "wasserstein_gp"):
        chosen = dataclasses.replace(options, loss=loss)
        config = gan.config(dataset="mnist-5k", options=chosen)
        found = outline(gan, config, digits.info)
        batch = jax.tree.map(lambda x: x[:2], digits.train)
        steps.add(str(jax.make_jaxpr(found.learner.step)(found.state, batch)))
    assert len(steps) == 3  # each loss has a step of its own
