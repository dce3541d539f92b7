"""Weights without a model in the format of Keras 2, as Keras publishes them."""

import sys

import h5py
import jax
import numpy as np
import pytest

from fdl import models
from fdl.keras import WeightsError, from_keras, load_weights
from fdl.keras.published import WEIGHTS
from fdl.models.backbone import preprocess
from lazily import keras
from zoo.residual import CASES

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 75, 75, 3)).astype("f")


def publish(path, twin) -> None:
    """Write the weights of a model in the format of Keras 2, by Keras' own code."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, twin)


def rename(path, **names) -> None:
    """Give layers the names that other versions of the file have."""
    with h5py.File(path, "r+") as file:
        layers = [names.get(str(n), str(n)) for n in file.attrs["layer_names"]]
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for old, new in names.items():
            file.move(old, new)


def twin_of(name: str):
    """Return a small residual network in fdl and in Keras, with weights."""
    (case,) = (case for case in CASES if case.name == name)
    keras.utils.set_random_seed(0)
    return case.make(), case.keras_twin()


def draw(twin) -> None:
    rng = np.random.default_rng(0)
    for weight in twin.weights:
        weight.assign(weight.numpy() + rng.uniform(0.1, 0.2, weight.shape))


def same(found, wanted) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("top", ["predictions", "probs", "fc1000"])
def test_named_layers_are_read(tmp_path, top) -> None:
    model, twin = twin_of("resnet-bottleneck")
    draw(twin)
    file = tmp_path / "resnet_weights_tf_dim_ordering_tf_kernels.h5"
    publish(file, twin)
    if top != "predictions":
        rename(file, predictions=top, conv1_conv="conv1/conv", conv1_bn="conv1/bn")
    same(load_weights(file, model, IMAGES[:, :32, :32]), from_keras(model, twin))


def small_inception(monkeypatch):
    """Return Inception v3 at a sixteenth of its width, with layers numbered from 1."""
    module = sys.modules[keras.applications.InceptionV3.__module__]
    whole = module.conv2d_bn
    narrow = lambda x, features, *rest, **options: whole(
        x, max(1, features // 16), *rest, **options
    )
    monkeypatch.setattr(module, "conv2d_bn", narrow)
    keras.backend.clear_session()
    keras.layers.Conv2D(1, 1)
    keras.layers.BatchNormalization()
    twin = keras.applications.InceptionV3(
        weights=None, input_shape=(75, 75, 3), classes=5, classifier_activation=None
    )
    draw(twin)
    return models.InceptionV3(5, width=1 / 16), twin


def test_numbered_layers_are_read(tmp_path, monkeypatch) -> None:
    model, twin = small_inception(monkeypatch)
    names = {layer.name for layer in twin.layers}
    assert "conv2d_94" in names
    assert "conv2d" not in names
    wanted = from_keras(model, twin)
    # In the file, numbered from 0, as when no other model was created before.
    publish(tmp_path / "a.h5", twin)
    name = lambda kind, number: f"{kind}_{number}" if number else kind
    kinds = ("conv2d", "batch_normalization")
    shifted = {name(k, n + 1): name(k, n) for k in kinds for n in range(94)}
    rename(tmp_path / "a.h5", **shifted)
    same(load_weights(tmp_path / "a.h5", model, IMAGES), wanted)
    # The outputs show that each weight is in its place.
    x = IMAGES / 255
    ours = jax.jit(model.apply)(wanted, x)
    np.testing.assert_allclose(ours, twin(x), rtol=1e-4, atol=1e-6)


def test_kernels_for_colors_are_summed_for_gray_images(tmp_path) -> None:
    model, twin = twin_of("resnet-bottleneck")
    draw(twin)
    publish(tmp_path / "a.h5", twin)
    gray = IMAGES[:, :32, :32, :1] / 255
    with pytest.warns(UserWarning, match=r"three channels of 'conv1_conv' are summed"):
        found = load_weights(tmp_path / "a.h5", model, gray)
    assert found["params"]["conv1_conv"]["kernel"].shape[2] == 1
    apply = jax.jit(model.apply)
    colored = apply(from_keras(model, twin), np.repeat(gray, 3, axis=-1))
    np.testing.assert_allclose(apply(found, gray), colored, rtol=1e-4)


def test_errors_name_the_variant_in_a_file(tmp_path, monkeypatch) -> None:
    model, twin = twin_of("resnet-bottleneck")
    publish(tmp_path / "a.h5", twin)
    size = sum(w.numpy().size for w in twin.weights) - 16 * 10 * 2 - 10
    monkeypatch.setitem(WEIGHTS, "ResNet50", size)
    deeper = model.clone(stage_sizes=(1, 2))
    for other in (deeper, models.ResNet50V2(10, stage_sizes=(2, 2), width=4)):
        with pytest.raises(WeightsError, match=r"looks like ResNet50 for 10 classes\."):
            load_weights(tmp_path / "a.h5", other, IMAGES[:, :32, :32])
    with pytest.raises(WeightsError, match=r"needs 'predictions'.* for 10 classes"):
        load_weights(tmp_path / "a.h5", model.clone(num_classes=3), IMAGES[:, :32, :32])
    bare = keras.Model(twin.input, twin.layers[-3].output)
    publish(tmp_path / "b.h5", bare)
    without = r"lacks the model's 'predictions' .*, pass only=fdl\.models\.backbone_lay"
    with pytest.raises(WeightsError, match=without):
        load_weights(tmp_path / "b.h5", model, IMAGES[:, :32, :32])
    # A file that has most of the names lacks the others.
    missing = r"lacks the model's 'conv3_block2_1_conv' .* and 5 more layers\."
    with pytest.raises(WeightsError, match=missing):
        load_weights(tmp_path / "a.h5", deeper, IMAGES[:, :32, :32])


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        (models.VGG16(2), "vgg16"),
        (models.ResNet50(2), "resnet50"),
        (models.ResNet50V2(2), "resnet_v2"),
        (models.DenseNet121(2), "densenet"),
        (models.InceptionV3(2), "inception_v3"),
    ],
)
def test_images_are_preprocessed_as_in_keras(model, theirs) -> None:
    wanted = getattr(keras.applications, theirs).preprocess_input(IMAGES.copy())
    found = preprocess(IMAGES, model.preprocessing)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    pixels = IMAGES.astype(np.uint8)
    wanted = getattr(keras.applications, theirs).preprocess_input(pixels)
    found = preprocess(pixels, model.preprocessing)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
