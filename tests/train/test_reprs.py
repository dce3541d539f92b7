"""The repr of results and data: one line, without arrays."""

import jax
import numpy as np
import optax
import pytest

import fdl
from fdl import data, learners, losses, models


@pytest.fixture(scope="module")
def shown():
    image = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    batch = fdl.Batch(image.repeat(4, axis=0), np.arange(8, dtype=np.int32))
    learner = learners.supervised(models.MLP(10), losses.cross_entropy, optax.sgd(0.1))
    settings = {"epochs": 1, "batch_size": 4}
    one = fdl.fit(learner, batch, key=jax.random.key(0), **settings)
    keys = jax.random.split(jax.random.key(0), 3)
    many = fdl.fit_many(lambda hparams: learner, {}, batch, keys=keys, **settings)
    sample = data.load("mnist-5k")
    return {
        "batch": batch,
        "tokens": fdl.Tokens(np.zeros((3, 4), np.int32), np.zeros((3, 4), np.int32)),
        "buckets": fdl.Buckets((batch, batch)),
        "dataset": sample,
        "state": one.state,
        "fit": one,
        "members": many.state,
        "many": many,
        "shapes": jax.eval_shape(lambda: one.state),
        "detector": data.novelty_detector(sample.train.image, sample.validation.image),
    }


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("batch", "Batch(image=uint8[8, 8, 8, 1], label=int32[8])"),
        ("tokens", "Tokens(token=int32[3, 4], target=int32[3, 4])"),
        ("buckets", "Buckets(parts=(Batch(image=uint8[8, 8, 8, 1], label=int32[8]), "),
        ("dataset", "Dataset(train=Batch(image=uint8[3333, 28, 28, 1], label="),
        ("state", "State(step=2, 9,610 parameters)"),
        ("fit", "FitResult(State(step=2, 9,610 parameters), epoch=1, last: Epoch("),
        ("members", "State(step=[2 2 2], 28,830 parameters)"),
        (
            "many",
            "FitManyResult(state=State(step=[2 2 2], 28,830 parameters), epoch=int",
        ),
        ("shapes", "State(step=?, 9,610 parameters)"),
        ("detector", "NoveltyDetector(mean=float32[784], components=float32["),
    ],
)
def test_repr(shown, name, start) -> None:
    found = repr(shown[name])
    assert found.startswith(start)
    assert len(found) < 1000
    assert "array(" not in found
    assert "\n" not in found
