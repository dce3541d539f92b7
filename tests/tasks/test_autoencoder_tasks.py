"""Autoencoder tasks: pictures, metrics, generated images, and exported parts."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

import fdl
from fdl import tasks
from fdl.data import load

SMALL = {"hidden_sizes": (24, 16), "latent_size": 3}


def trained(name, **options):
    """Train a small model of a task on a few digits for one epoch."""
    task = tasks.find(name)
    dataset = load("mnist-5k", validation=None)
    few = lambda part: type(part)(part.image[:60], part.label[:60])
    dataset = dataset._replace(train=few(dataset.train), test=few(dataset.test))
    config = task.config(
        dataset="mnist-5k",
        epochs=1,
        batch_size=20,
        options=dataclasses.replace(task.options, **{**SMALL, **options}),
    )
    dataset = task.prepare(dataset, config)
    model = task.make_model(config.options, dataset.info)
    learner = task.learn(model, config, dataset.info)
    run = fdl.fit(
        learner, dataset.train, epochs=1, batch_size=20, key=jax.random.key(0)
    )
    run = tasks.Trained(config, dataset.info, model, learner, run.state)
    return task, run, dataset


def test_a_variational_run_has_metrics_and_pictures_and_generates(tmp_path) -> None:
    task, run, dataset = trained("vae", samples=20)
    assert set(np.unique(dataset.test.image)) == {0, 255}
    measured = task.finish(run, dataset, tmp_path)
    found = fdl.evaluate(run.learner, run.state, dataset.test)
    assert task.metric in found
    (bound,) = measured.values()
    assert found["elbo"] < bound < 0
    wanted = {"latents", "reconstructions", "samples", "walk"}
    assert {file.stem for file in tmp_path.glob("*.png")} == wanted
    with Image.open(tmp_path / "reconstructions.png") as picture:
        assert picture.width > picture.height  # ten classes, four pairs
    sampling = tasks.Sampling(count=5)
    images = task.generate(run, jax.random.key(1), sampling)
    assert images.shape == (5, 28, 28, 1)
    assert 0 <= images.min() < images.max() <= 1
    again = task.generate(run, jax.random.key(1), sampling)
    np.testing.assert_array_equal(images, again)
    for part in task.parts(run).values():
        output = part.model.apply(part.variables, *part.inputs)
        assert jax.tree.leaves(output)[0].shape == (1, 28, 28, 1)


def test_a_denoising_run_with_two_latents_draws_their_plane(tmp_path) -> None:
    task, run, dataset = trained("autoencoder", latent_size=2, noise=0.3)
    assert task.finish(run, dataset, tmp_path) == {}
    wanted = {"latents", "reconstructions", "denoised", "walk"}
    assert {file.stem for file in tmp_path.glob("*.png")} == wanted
    with Image.open(tmp_path / "walk.png") as picture:
        assert picture.width == picture.height
    assert task.metric in fdl.evaluate(run.learner, run.state, dataset.test)


@pytest.mark.parametrize("name", ["vae", "autoencoder"])
def test_architecture_and_sizes_can_be_chosen(name) -> None:
    task, info = tasks.find(name), load("mnist-5k").info
    options = dataclasses.replace(task.options, **SMALL)
    dense = task.make_model(options, info)
    assert dense.encoder.hidden_sizes == (24, 16)
    assert dense.decoder.hidden_sizes == (16, 24)
    assert dense.latent_size == 3
    conv = dataclasses.replace(options, architecture="conv")
    conv = task.make_model(conv, info)
    assert isinstance(conv.encoder, fdl.models.ConvEncoder)
    assert isinstance(conv.decoder, fdl.models.ConvDecoder)


def test_default_models_have_the_documented_parameter_counts() -> None:
    shapes = jax.ShapeDtypeStruct
    image, z = shapes((1, 28, 28, 1), np.float32), shapes((1, 20), np.float32)
    for make, inputs, count in (
        (fdl.models.VAE, (image, z), 973_624),
        (fdl.models.ConvVAE, (image, z), 1_662_249),
        (fdl.models.Autoencoder, (image,), 965_604),
        (fdl.models.ConvAutoencoder, (image,), 1_657_109),
    ):
        found = jax.eval_shape(make().init, jax.random.key(0), *inputs)
        assert sum(x.size for x in jax.tree.leaves(found)) == count
