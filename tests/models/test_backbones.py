"""Properties of convolutional classifiers for photographs and small images."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from fdl import models
from fdl.keras.published import WEIGHTS
from zoo import draw_variables

SMALL = {
    "resnet": models.ResNet50(5, stage_sizes=(1, 1), width=4),
    "resnet-v2": models.ResNet50V2(5, stage_sizes=(2, 2), width=4),
    "resnet-cifar": models.CIFARResNet(5, depth=8, width=4),
    "vgg": models.VGG(5, block_sizes=(1, 1), widths=(4, 8), hidden_sizes=(8,)),
    "densenet": models.DenseNet121(5, block_sizes=(1, 1), growth_rate=4, width=4),
    "densenet-cifar": models.CIFARDenseNet(5, depth=10, growth_rate=4),
    "inception-v3": models.InceptionV3(5, width=1 / 16),
}
SMALLEST = {
    "resnet": 32,
    "resnet-v2": 32,
    "resnet-cifar": 8,
    "vgg": 4,
    "densenet": 32,
    "densenet-cifar": 8,
    "inception-v3": 75,
}
STRIDES = {
    "resnet": [2, 4, 8],
    "resnet-v2": [2, 4, 8],
    "resnet-cifar": [1, 2, 4],
    "vgg": [1, 2, 4],
    "densenet": [2, 4, 8],
    "densenet-cifar": [1, 2, 4],
    "inception-v3": [2, 4, 8, 16, 32],
}
REFUSED = (ValueError, jaxtyping.TypeCheckError)  # the second only in tests
each = pytest.mark.parametrize("name", SMALL)
CIFAR, PHOTO = (32, 32, 3), (64, 64, 3)


def variables_of(model, *shape):
    """Return the shapes of the variables, without type checks, which others test."""
    image = jax.ShapeDtypeStruct((2, *shape), np.float32)
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        return jax.eval_shape(lambda x: model.init(jax.random.key(0), x), image)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def shapes(model, *shape, method=None):
    """Return the shapes of the model's outputs."""
    image = jax.ShapeDtypeStruct((2, *shape), np.float32)
    start = lambda x: model.init_with_output(jax.random.key(0), x, method=method)[0]
    return jax.tree.map(jnp.shape, jax.eval_shape(start, image))


def total(tree) -> int:
    return sum(x.size for x in jax.tree.leaves(tree))


def deep(model):
    """Return the shapes of the variables of a ResNet, and how often each block occurs.

    Later blocks of a stage equal its second, so they need not be traced.
    """
    stages = enumerate(model.stage_sizes, 2)
    times = {f"conv{stage}_block2": blocks - 1 for stage, blocks in stages}
    return variables_of(model.clone(stage_sizes=(2,) * len(times)), *PHOTO), times


@pytest.mark.parametrize(
    ("name", "options", "shape", "params", "statistics"),
    [  # parameters and running statistics: counted in Keras, torchvision and the papers
        ("ResNet50", {}, None, 25_583_592, 53_120),
        ("ResNet50", {"stride_in": "3x3", "use_bias": False}, None, 25_557_032, None),
        ("ResNet18", {"use_bias": False}, None, 11_689_512, None),
        ("ResNet34", {"use_bias": False}, None, 21_797_672, None),
        ("ResNet101", {}, None, 44_601_832, 105_344),
        ("ResNet152", {}, None, 60_268_520, 151_424),
        ("ResNet50V2", {}, None, 25_568_360, 45_440),
        ("SEResNet50", {}, None, 28_088_024, None),
        ("VGG11", {}, (224, 224, 3), 132_863_336, 0),
        ("VGG13", {}, (224, 224, 3), 133_047_848, 0),
        ("VGG16", {}, (224, 224, 3), 138_357_544, 0),
        ("VGG19", {}, (224, 224, 3), 143_667_240, 0),
        ("InceptionV3", {}, (75, 75, 3), 23_817_352, 34_432),
    ],
)
def test_number_of_parameters(name, options, shape, params, statistics) -> None:
    model = getattr(models, name)(1000, **options)
    variables, times = (variables_of(model, *shape), {}) if shape else deep(model)
    count = lambda tree: sum(
        total(part) * times.get(layer, 1) for layer, part in tree.items()
    )
    assert count(variables["params"]) == params
    if statistics is not None:
        assert count(variables.get("batch_stats", {})) == statistics
    if not options and name in WEIGHTS:  # without a top
        tops = [variables["params"].get(x) for x in ("fc1", "fc2", "predictions")]
        assert params + statistics - total(tops) == WEIGHTS[name]


@pytest.mark.parametrize(
    ("shortcut", "params"),
    [
        ("A", {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}),
        ("B", {20: 272_474, 32: 466_906, 44: 661_338, 56: 855_770, 110: 1_730_714}),
        (None, {20: 269_722, 110: 1_727_962}),
    ],
)
def test_number_of_parameters_for_small_images(shortcut, params) -> None:
    model = models.CIFARResNet(10, shortcut=shortcut)
    least, more = (
        total(variables_of(model.clone(depth=depth), *CIFAR)["params"])
        for depth in (14, 20)
    )
    for depth, wanted in params.items():  # each six layers add the same three blocks
        assert least + (depth - 14) // 6 * (more - least) == wanted


def dense(model, classes):
    """Return the numbers of parameters and running statistics by the DenseNet paper.

    Images have three channels. A normalization has as many statistics as parameters.
    """
    width, growth, inner = model.width, model.growth_rate, 4 * model.growth_rate
    kernels = (9 if model.small else 49) * 3 * width
    normed = 0 if model.small else width
    for block, size in enumerate(model.block_sizes):
        if block:
            kept = int(width * model.compression)
            kernels, normed, width = kernels + width * kept, normed + width, kept
        for _ in range(size):
            seen = inner if model.bottleneck else width
            kernels += 9 * seen * growth + width * inner * model.bottleneck
            normed += width + inner * model.bottleneck
            width += growth
    normed += width
    return kernels + 2 * normed + (width + 1) * classes, 2 * normed


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (models.CIFARDenseNet(10, depth=100), 769_162),
        (models.CIFARDenseNet(10, depth=22), 71_686),
        (models.CIFARDenseNet(10, depth=40, bc=False), 1_019_722),
        (models.DenseNet121(1000), 7_978_856),
        (models.DenseNet169(1000), 14_149_480),
        (models.DenseNet201(1000), 20_013_928),
    ],
)
def test_number_of_parameters_of_dense_networks(model, params) -> None:
    assert dense(model, model.num_classes)[0] == params
    # The formula also holds for blocks of one to three layers in several orders.
    few = model.clone(block_sizes=(2, 3, 1, 2)[: len(model.block_sizes)])
    variables = variables_of(few, *PHOTO)
    counts = total(variables["params"]), total(variables["batch_stats"])
    assert counts == dense(few, model.num_classes)


@pytest.mark.parametrize(
    ("name", "statistics"),
    [("DenseNet121", 83_648), ("DenseNet169", 158_400), ("DenseNet201", 229_056)],
)
def test_files_of_dense_networks_are_recognized(name, statistics) -> None:
    params, found = dense(getattr(models, name)(1000), 0)
    assert found == statistics
    assert params + statistics == WEIGHTS[name]


@each
def test_features_by_stride(name) -> None:
    height, width = SMALLEST[name], 101
    stages = shapes(SMALL[name], height, width, 2, method="features")
    assert list(stages) == STRIDES[name]
    for stride, (_, *size, _) in stages.items():
        assert min(size) > 0
        if name != "inception-v3":  # its maps lose their borders
            near = np.array([height, width]) / stride
            assert (np.abs(size - near) < 1).all()


@pytest.mark.parametrize("name", ["vgg", "resnet"])  # all others end like it
def test_models_without_a_top_return_the_last_features(name) -> None:
    size = SMALLEST[name]
    assert shapes(SMALL[name], size, size, 3) == (2, 5)
    *_, last = shapes(SMALL[name], size, size, 3, method="features").values()
    for pooling, shape in (
        (None, last),
        ("avg", (2, last[-1])),
        ("max", (2, last[-1])),
    ):
        model = SMALL[name].clone(include_top=False, pooling=pooling)
        assert shapes(model, size, size, 3) == shape


def test_models_without_a_top_have_no_parameters_of_one() -> None:
    for name, top in (("vgg", {"fc1", "predictions"}), ("resnet", {"predictions"})):
        with_top, without = (
            set(variables_of(SMALL[name].clone(include_top=given), 32, 32, 3)["params"])
            for given in (True, False)
        )
        assert with_top - without == top


def test_pooling_applies_to_the_last_feature_map() -> None:
    model = SMALL["vgg"].clone(include_top=False)
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    variables = draw_variables(model, image)
    last = np.asarray(model.apply(variables, image))
    for pooling, of in (("avg", np.mean), ("max", np.max)):
        found = model.clone(pooling=pooling).apply(variables, image)
        np.testing.assert_allclose(found, of(last, axis=(1, 2)), rtol=1e-6)


@each
def test_images_that_are_too_small_are_refused(name) -> None:
    least = SMALLEST[name]
    wanted = f"from {least}x{least} pixels.* not {least}x{least - 1}: resize or pad"
    with pytest.raises(ValueError, match=wanted):
        shapes(SMALL[name], least, least - 1, 3)


def test_a_plain_network_is_a_residual_one_without_shortcuts() -> None:
    model = models.CIFARResNet(5, depth=8, width=4, shortcut=None)
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    variables = draw_variables(model, image)
    kernel = variables["params"]["conv2_block1"]["2_bn"]
    kernel["scale"] *= 0  # so nothing of the image passes
    kernel["bias"] *= 0
    plain = jax.jit(model.apply)(variables, image)
    residual = jax.jit(model.clone(shortcut="A").apply)(variables, image)
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-5)
    assert np.abs(residual[0] - residual[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.CIFARResNet(5, depth=21), "depth=21 must be 6n .* 20 or 26"),
        (lambda: models.CIFARResNet(5, depth=2), "depth=2 must be at least 8"),
        (lambda: models.CIFARResNet(5, width=0), "width=0 must be at least 1"),
        (lambda: models.CIFARResNet(5, shortcut="C"), "C"),
        (
            lambda: models.CIFARResNet(5, depth=8, se_ratio=32),
            "ratio=32 must be from 1 to the number of channels, 16",
        ),
        (lambda: models.ResNet50(5, stride_in="2x2"), "2x2"),
        (lambda: models.VGG16(5, include_top=False, pooling="mean"), "mean"),
        (lambda: models.ResNet50(5, stage_sizes=(1, 0)), r"stage_sizes=\(1, 0\) must"),
        (lambda: models.ResNet50V2(5, stage_sizes=(1,)), "at least 2"),
        (
            lambda: models.VGG16(5, widths=(8, 8)),
            r"widths=\(8, 8\) must have one number",
        ),
        (lambda: models.VGG16(0), "num_classes=0 must be at least 1"),
        (lambda: models.AlexNet(5, groups=3), "must be multiples of groups=3"),
        (lambda: models.GoogLeNet(5, modules=(), auxiliary=()), "at least one module"),
        (lambda: models.DenseNet121(5, block_sizes=()), "at least one block"),
        (lambda: models.DenseNet121(5, block_sizes=(1,) * 6), "from 128x128 pixels"),
        (lambda: models.VGG16(5, dropout_rate=1.0), r"dropout_rate=1.0 must be in"),
        (lambda: models.DenseNet121(5, compression=0.0), "compression=0.0 must be in"),
        (lambda: models.DenseNet121(5, growth_rate=0), "growth_rate=0 must be"),
        (lambda: models.InceptionV3(5, width=0.0), "width=0.0 must be"),
        (
            lambda: models.CIFARDenseNet(5, depth=23),
            r"depth=23 must be 6n \+ 4 .* 22 or 28",
        ),
    ],
)
def test_options_out_of_range_are_refused(make, message) -> None:
    with pytest.raises(REFUSED, match=message):
        shapes(make(), 96, 96, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.VGG16(5, pooling="mean"), "pooling='mean' must be"),
        (lambda: models.AlexNet(5, widths=(4,)), r"widths=\(4,\) must have 5 entries"),
        (lambda: models.GoogLeNet(5, stem=(4, 4)), r"stem=\(4, 4\) must have 3 entri"),
    ],
)
def test_options_of_another_type_are_refused(make, message, monkeypatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        variables_of(make(), 96, 96, 3)
