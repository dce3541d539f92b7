"""Checks of the model, loss, optimizer and data that a learner gets."""

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest
from flax import nnx

import fdl
from fdl import learners, losses, models
from fdl.learner import require_learner, require_state
from fdl.learners.parts import require_metrics, require_parts
from fdl.train.start import require_functions
from fdl.train.stopping import require_stopping

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
        (
            {"model": WithoutTrain(), "data": (IMAGE.astype(int), LABEL)},
            "int64 images with .*by 255",
        ),
        ({"data": ({"y": IMAGE}, LABEL)}, r"fit MLP.__call__\(inputs\): .*\(inputs,\)"),
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
    ("require", "wrong", "message"),
    [
        (require_learner, models.MLP(10), "learner is a MLP: pass a Learner, such as"),
        (require_state, fdl.train.FitResult({}, 1, -1, (), {}), "pass its state"),
        (require_state, {"kernel": 1}, "state is a dict: pass a State"),
        (require_stopping, 3, "early_stopping=3 must be an EarlyStopping, such as"),
        (require_metrics, ["mae"], r"metrics=\['mae'\] must be a dictionary"),
        (require_metrics, {"mae": "mae"}, "must be a dictionary of functions"),
        (lambda given: require_functions(on_epoch=given), [], "on_epoch is a list"),
    ],
)
def test_wrong_arguments_of_training_are_named(require, wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        require(wrong)


class NoisyAlways(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dropout(0.5, deterministic=False)(linen.Dense(10)(x))


class Counting(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.variable("count", "n", lambda: 0).value += 1
        return linen.Dense(10)(x)


class HeadInTraining(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        return linen.Dense(10)(linen.Dense(4)(x) if train else x[:, :4])


VECTORS = np.zeros((8, 5), np.float32)


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"model": NoisyAlways()}, "random keys in training only"),
        ({"model": Counting()}, "only where self.is_mutable_collection"),
        ({"model": HeadInTraining()}, "if self.is_initializing()"),
        (
            {"model": linen.Dense(10), "data": ([VECTORS, VECTORS], LABEL)},
            "pass several as a tuple",
        ),
        (
            {"model": linen.Embed(10, 10), "data": (IMAGE[:, 0, 0, 0], LABEL)},
            "pass tokens as int32",
        ),
    ],
)
def test_errors_in_a_model_come_with_the_inputs_and_a_remedy(changed, remedy) -> None:
    with pytest.raises(Exception) as found:  # noqa: PT011 - those of Flax and JAX
        train(**{"data": (VECTORS, LABEL)} | changed)
    assert not isinstance(found.value, fdl.DataError)
    notes = " ".join(found.value.__notes__)
    assert "applied to inputs of" in notes
    assert remedy in notes


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
