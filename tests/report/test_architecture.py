"""Which layer reads which, and the picture of it."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl.report import draw_architecture


def summarize(model, *inputs, **options):
    variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    return fdl.summary(model, variables, *inputs, **options)


def reads(found):
    return {layer.name: layer.reads for layer in found.layers}


IMAGE = np.ones((1, 8, 8, 1), np.float32)
RESIDUAL = fdl.models.CIFARResNet(2, depth=8)


def test_a_layer_after_a_shortcut_reads_both_branches() -> None:
    found = reads(summarize(RESIDUAL, IMAGE))
    assert found["conv1_conv"] == ("input",)
    assert found["conv2_block1/1_conv"] == ("conv1_bn",)
    assert found["conv2_block1/1_bn"] == ("conv2_block1/1_conv",)
    assert found["conv3_block1/1_conv"] == ("conv1_bn", "conv2_block1/2_bn")
    assert found["predictions"] == ("conv4_block1/0_bn", "conv4_block1/2_bn")
    folded = reads(summarize(RESIDUAL, IMAGE, levels=1))
    assert folded["conv3_block1"] == ("conv2_block1",)


class Branches(linen.Module):
    """Two inputs, an inactive layer, a recurrent layer, and two outputs."""

    @linen.compact
    def __call__(self, x, y):
        same = linen.Dropout(0.5, deterministic=True, name="same")(x)
        steps = fdl.nn.GRU(3, name="steps")(y).outputs
        both = jnp.concatenate([same, jax.nn.relu(steps[:, -1])], axis=-1)
        return linen.Dense(2, name="head")(both), same


def test_inputs_branches_and_outputs_have_names() -> None:
    found = summarize(Branches(), jnp.ones((1, 4)), jnp.ones((1, 5, 2)))
    assert reads(found) == {
        "same": ("input 1",),
        "steps": ("input 2",),
        "head": ("same", "steps"),
    }
    assert found.returns == ("same", "head")


@pytest.mark.drawn
def test_every_layer_is_a_box_and_every_read_an_arrow(tmp_path) -> None:
    found = summarize(RESIDUAL, IMAGE)
    draw_architecture(tmp_path / "net.svg", {"model": found})
    drawn = (tmp_path / "net.svg").read_text().count('<g id="patch_')
    arrows = sum(len(layer.reads) for layer in found.layers)
    background, image = 1, 1
    assert drawn == background + image + len(found.layers) + arrows
