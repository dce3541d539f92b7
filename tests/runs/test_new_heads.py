"""Image networks from pretrained weights: a new head on a frozen backbone."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import pytest
from small import few

import fdl
from fdl import tasks
from fdl.export import write_safetensors
from fdl.keras import save_weights
from fdl.runs import UNKNOWN, configure
from fdl.runs.start import start_from
from fdl.runs.weights import named_variables
from fdl.weights import WeightsError
from zoo import draw_variables

SMALL = {
    "block_sizes": (1, 1),
    "widths": (2, 3),
    "hidden_sizes": (4,),
    "dropout_rate": 0.0,
}
VGG = fdl.models.VGG(10, **SMALL, batch_norm=True, momentum=0.9)
IMAGE = np.zeros((1, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def variables():
    """Random weights and statistics, in place of trained ones."""
    return draw_variables(VGG, IMAGE)


@functools.cache
def fresh(classes=10, channels=1, task="vgg", **options):
    info = few().info
    shape = (*info.input_shape[:2], channels)
    info = info._replace(num_classes=classes, input_shape=shape)
    options = options if task != "vgg" else SMALL | options
    options = {"dataset": "mnist-5k"} | options
    return tasks.outline(tasks.find(task), configure(task, **options), info)


def start(file, trained):
    return start_from(tasks.find(trained.config.task), trained, file)


def write(file, model, variables, image=IMAGE):
    if file.suffix == ".safetensors":
        write_safetensors(file, named_variables(variables))
    else:
        save_weights(file, model, variables, image)
    return file


def without(variables, *modules):
    return {
        collection: {name: x for name, x in tree.items() if name not in modules}
        for collection, tree in variables.items()
    }


def test_a_frozen_backbone_stays_the_same_bit_for_bit(tmp_path, variables) -> None:
    trained = fresh(optimizer="adamw", freeze=("backbone",))
    file = write(tmp_path / "x.safetensors", VGG, variables)
    begin = start(file, trained)
    assert (begin.newly_initialized, begin.trained_on) == ((), (UNKNOWN,))
    state, images = begin.state, few().train
    measured = jax.jit(trained.learner.evaluate)(state, images)["loss"]
    step = jax.jit(trained.learner.step)
    state, sums = step(state, images)
    # Frozen batch normalization uses its stored statistics in training, too.
    np.testing.assert_allclose(sums["loss"].total, measured.total, rtol=1e-5)
    state, _ = step(state, images)
    found, before = named_variables(state.variables), named_variables(variables)
    assert found.keys() == before.keys()
    for name, x in found.items():
        same = np.asarray(x).tobytes() == np.asarray(before[name]).tobytes()
        assert same is ("/block" in name), name


HEAD = ("params/predictions/bias", "params/predictions/kernel")
WHOLE_HEAD = ("params/fc1/bias", "params/fc1/kernel", *HEAD)


@pytest.mark.parametrize("kind", ["x.safetensors", "x.weights.h5"])
@pytest.mark.parametrize(
    ("missing", "options", "anew"),
    [
        ((), {"classes": 3}, HEAD),
        (("fc1", "predictions"), {}, WHOLE_HEAD),
        ((), {"hidden_sizes": (5,), "classes": 3}, WHOLE_HEAD),
    ],
    ids=["classes", "no-head", "wider-head"],
)
def test_head_layers_that_do_not_fit_are_initialized_anew(
    tmp_path, variables, kind, missing, options, anew
) -> None:
    model = VGG.clone(include_top=False) if missing else VGG
    file = write(tmp_path / kind, model, without(variables, *missing))
    found = start(file, fresh(**options))
    assert found.state is not None
    assert found.newly_initialized == anew
    given = named_variables(variables)
    for name, x in named_variables(found.state.variables).items():
        if name in anew:
            assert "bias" not in name or not np.any(x), "a new bias is zero"
        else:
            np.testing.assert_array_equal(x, given[name], err_msg=name)


@pytest.mark.parametrize("kind", ["x.safetensors", "x.weights.h5"])
def test_another_variant_is_refused_with_its_description(
    tmp_path, variables, kind
) -> None:
    file = write(tmp_path / kind, VGG, variables)
    deeper = fresh(block_sizes=(1, 2))
    message = r"Its stages have 1, 1 blocks, but the model's have 1, 2\.$"
    with pytest.raises(WeightsError, match=message):
        start(file, deeper)
    with pytest.raises(WeightsError, match="block1_conv1"):
        start(file, fresh(channels=3))


def test_gates_within_a_backbone_are_not_a_head(tmp_path) -> None:
    options: dict = {"depth": 8, "width": 16}
    gated = fdl.models.CIFARResNet(10, **options, se_ratio=16)
    variables = draw_variables(gated, IMAGE)
    for name in ("x.safetensors", "x.weights.h5"):
        file = write(tmp_path / name, gated, variables)
        with pytest.raises(WeightsError, match=r"_se_|/se/"):
            start(file, fresh(3, task="resnet", **options))


def test_auxiliary_heads_are_not_part_of_the_backbone() -> None:
    trained = fresh(task="googlenet")
    freeze = dataclasses.replace(trained.config, freeze=("stem", "backbone"))
    frozen = tasks.frozen_layers(freeze, trained.model, trained.info)
    assert frozen[:2] == ("stem", "conv1")
    assert not [name for name in frozen if "auxiliary" in name or "pred" in name]
    assert "inception4a" in frozen
    with pytest.raises(ValueError, match=r"'backbone' matches no parameter .* dense1"):
        fresh(task="mlp", freeze=("backbone",))


def test_photographs_are_preprocessed_as_the_model_expects() -> None:
    make = lambda num_classes: VGG.clone(num_classes=num_classes)
    task = tasks.with_model(tasks.find("classify"), make)
    config = configure("classify", options=task.options)
    trained = tasks.outline(task, config, fresh(channels=3).info)
    state = tasks.draw_state(trained)
    image = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3)).astype(np.uint8)
    logits: Any = VGG.apply(state.variables, fdl.models.preprocess(image, "caffe"))
    found = trained.learner.predict(state, image)
    np.testing.assert_allclose(found, jax.nn.softmax(logits), rtol=1e-4, atol=1e-6)
    gray = np.repeat(image[..., :1], 3, axis=-1)
    colored = fdl.models.preprocess(gray, "torch").mean(axis=-1)
    found = fdl.models.preprocess(image[..., :1], "torch")[..., 0]
    np.testing.assert_allclose(found, colored, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="2 channels, but photographs have 3, or 1"):
        fdl.models.preprocess(image[..., :2], "tf")


def test_unknown_variables_are_refused(variables) -> None:
    state = tasks.draw_state(fresh())
    found = state.with_variables(without(variables, "predictions"))
    assert found.params["predictions"]["bias"] is state.params["predictions"]["bias"]
    np.testing.assert_array_equal(
        found.params["fc1"]["bias"], variables["params"]["fc1"]["bias"]
    )
    with pytest.raises(ValueError, match="params/other/bias is not a variable"):
        state.with_variables({"params": {"other": {"bias": np.ones(2)}}})
    with pytest.raises(ValueError, match=r"shape \[2\], but the model needs \[10\]"):
        state.with_variables({"params": {"predictions": {"bias": np.ones(2)}}})
