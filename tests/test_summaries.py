"""Summaries of models: shapes, parameters and FLOPs, compared with values by hand."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest

import fdl
from fdl import models, nn, runs
from fdl.architecture import Layer, Summary


def summarize(model, *shape, **options) -> Summary:
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    return fdl.summary(model, variables, x, **options)


def flops(layer, *shape) -> int:
    return summarize(layer, *shape).flops


def test_each_multiply_add_counts_as_two_flops() -> None:
    assert flops(nn.Dense(5), 7) == 2 * 7 * 5
    assert flops(nn.Dense(5), 4, 7) == 4 * 2 * 7 * 5
    conv = nn.Conv2D(6, (5, 5), strides=(2, 2), padding="same")
    assert flops(conv, 9, 9, 3) == 2 * (5 * 5 * 6) * (5 * 5 * 3)
    grouped = nn.Conv2D(6, (3, 3), groups=2)
    assert flops(grouped, 9, 9, 4) == 2 * (7 * 7 * 6) * (3 * 3 * 2)
    assert flops(nn.DepthwiseConv2D((3, 3)), 9, 9, 4) == 2 * (7 * 7 * 4) * (3 * 3)
    up = nn.Conv2DTranspose(6, (4, 4), strides=(2, 2), padding="same")
    assert flops(up, 7, 7, 3) == 2 * (7 * 7 * 3) * (4 * 4 * 6)


def test_loops_count_every_step() -> None:
    assert flops(nn.GRU(4), 9, 3) == 9 * 2 * (3 + 4) * 12
    # Even after the fast implementation has been traced.
    layer, x = nn.GRU(4), jnp.ones((1, 9, 3))
    variables = layer.init(jax.random.key(0), x)
    jax.jit(layer.apply)(variables, x)
    assert fdl.summary(layer, variables, x).flops == 9 * 2 * (3 + 4) * 12


def test_flops_are_twice_the_multiply_adds_of_the_papers() -> None:
    # He et al., 2015, section 3.3 and table 1.
    for model, billions in ((models.VGG19, 19.6), (models.ResNet18, 1.8)):
        found = summarize(model(1000), 224, 224, 3).flops / 2e9
        assert found == pytest.approx(billions, rel=0.02)


class Twice(linen.Module):
    """A block, a layer called twice, a product, and a layer for training only."""

    @linen.compact
    def __call__(self, x, *, train=False):
        x = models.CIFARResNet(2, depth=8, name="net")(x)
        shared = nn.Dense(2, name="shared")
        if train or self.is_initializing():
            nn.Dense(3, name="aux")(x)
        return shared(shared(x)) @ jnp.ones((2, 4))


def test_every_parameter_is_counted_once_at_any_level() -> None:
    whole = summarize(Twice(), 8, 8, 1)
    names = [layer.name for layer in whole.layers]
    assert names[0] == "."
    assert names[1:4] == ["net/conv1_conv", "net/conv1_bn", "net/conv2_block1/1_conv"]
    aux = whole.layers[names.index("aux")]
    assert aux == Layer("aux", "not called", (), 9, 9, 0)
    for levels in (1, 2, 3):
        folded = summarize(Twice(), 8, 8, 1, levels=levels)
        assert folded[:2] == ("Twice", ((8, 8, 1),))
        total = lambda one: (one.parameters, one.trained, one.flops)
        assert total(folded) == total(whole)
    own, net, shared, _ = summarize(Twice(), 8, 8, 1, levels=1).layers
    assert (own.flops, own.parameters) == (2 * 2 * 4, 0)
    assert net.kind == "CIFARResNet"
    assert net.shapes == ((2,),)
    products = 2 * 2 * 2 * 2
    assert shared == Layer("shared", "Dense", ((2,),), 6, 6, products, ("net",))
    with pytest.raises(ValueError, match="levels=0 must be at least 1"):
        summarize(Twice(), 8, 8, 1, levels=0)


def test_frozen_parameters_are_not_trained() -> None:
    net = models.CIFARResNet(10, depth=8)
    found = summarize(net, 28, 28, 1, frozen=("conv*", "predictions/bias"))
    assert found.trained == 640
    assert found.parameters == 77_754 + 2 * (16 * 3 + 32 * 3 + 64 * 3)


def test_a_frozen_backbone_is_not_trained() -> None:
    how = {"dataset": "mnist-5k", "freeze": ["backbone"]}
    found = runs.summarize("lenet5", **how)["model"]
    assert found.trained == 84 * (120 + 1) + 10 * (84 + 1)


def test_known_data_sets_need_not_be_downloaded(monkeypatch) -> None:
    def miss(*arguments, **options):
        raise fdl.data.DataError("not here")

    monkeypatch.setattr(fdl.tasks, "load", miss)
    found = fdl.runs.summarize("mlp", dataset="fashion_mnist", validation=None)
    assert found["model"].trained == 101_770
    for task, dataset in (("text-classifier", "mnist"), ("mlp", "kmnist")):
        with pytest.raises(fdl.data.DataError, match="not here"):
            fdl.runs.summarize(task, dataset=dataset)
