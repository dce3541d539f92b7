"""Checks of the model, loss, optimizer and data that a learner gets."""

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest
from flax import nnx

import fdl
from fdl import learners, losses, models
from fdl.learners.parts import require_parts

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype(np.uint8)
LABEL = np.arange(8)


class NNXModel(nnx.Module):
    def __init__(self, rngs) -> None:
        self.dense = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        return self.dense(x.reshape(len(x), -1))


class WithoutTrain(linen.Module):
    """A module without `train`."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(x.reshape(len(x), -1))


class RequiredTrain(linen.Module):
    """A module whose `train` has no default."""

    @linen.compact
    def __call__(self, x, train):
        return linen.Dense(10)(x.reshape(len(x), -1))


def train(data=(IMAGE, LABEL), **changed):
    parts = {
        "model": models.MLP(10),
        "loss": losses.cross_entropy,
        "optimizer": optax.sgd(0.1),
    }
    learner = learners.supervised(**parts | changed)
    return fdl.fit(learner, data, epochs=1, batch_size=4, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": models.MLP}, r"model=MLP is a class: .* such as MLP\(...\)"),
        (
            {"model": NNXModel},
            r"NNX class NNXModel: pass .* flax.nnx.bridge.ToLinen\(NNXModel",
        ),
        (
            {"model": NNXModel(nnx.Rngs(0))},
            "NNX class NNXModel: pass .* flax.nnx.bridge",
        ),
        ({"model": lambda x: x}, "model is a function, without init and apply"),
        ({"data": (IMAGE, np.eye(10, dtype=int)[LABEL])}, r"label.argmax\(-1\)"),
        ({"data": (IMAGE, LABEL[:, None])}, r"use label\[..., 0\]"),
        ({"data": (IMAGE, LABEL.astype(float))}, "but classes must be integers"),
        ({"data": {"x": IMAGE, "y": LABEL}}, "or a dictionary or named tuple with the"),
        ({"data": (IMAGE.astype(float), LABEL)}, "whole numbers up to 255.*by 255"),
    ],
)
def test_wrong_parts_and_data_are_refused_with_a_remedy(changed, message) -> None:
    with pytest.raises(ValueError, match=message):
        train(**changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": "cross_entropy"}, "not a function: pass fdl.losses.cross_entropy."),
        ({"loss": "mse"}, "loss='mse' is not a function: pass one of fdl.losses"),
        ({"optimizer": "adam"}, r"optimizer='adam' .* such as optax.adam\(1e-3\)"),
    ],
)
def test_wrong_types_are_refused_without_runtime_type_checks(changed, message) -> None:
    parts = {"loss": losses.cross_entropy, "optimizer": optax.sgd(0.1)} | changed
    with pytest.raises(ValueError, match=message):
        require_parts(models.MLP(10), **parts)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": WithoutTrain()},
        {"model": RequiredTrain()},
        {"model": linen.Sequential([lambda x: x.reshape(len(x), -1), linen.Dense(10)])},
        {"model": nnx.bridge.to_linen(NNXModel)},
        {"data": {"inputs": IMAGE, "targets": LABEL}},
        {"data": (IMAGE, np.eye(10, dtype=np.float32)[LABEL])},
        {"data": (IMAGE.astype(np.float32) / 255, LABEL)},
        {
            "data": (IMAGE.astype(np.float32), LABEL),
            "preprocess": lambda x: x / 128 - 1,
        },
    ],
)
def test_supported_models_and_data_train(changed) -> None:
    assert np.isfinite(train(**changed).history[-1].train["loss"])
