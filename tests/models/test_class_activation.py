"""Class activation maps compared with the formulas of the papers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models, nn
from fdl.models import class_activation_map
from zoo import draw_variables

IMAGES = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
LABEL = np.array([4, 0, 2])
close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)


def test_with_global_average_pooling_it_is_the_map_of_zhou() -> None:
    model = models.CIFARResNet(5, depth=8, width=4)
    variables = draw_variables(model, IMAGES)

    @jax.jit
    def found(variables):
        stages = model.apply(variables, IMAGES, method="features")
        logits = model.apply(variables, IMAGES)
        find = functools.partial(class_activation_map, model, variables, IMAGES)
        best = find(logits.argmax(axis=-1))
        return stages[4], logits, find(LABEL), find() - best

    maps, logits, cam, difference = found(variables)
    head = variables["params"]["predictions"]
    close(cam, np.einsum("bhwk,kb->bhw", maps, head["kernel"][:, LABEL]))
    close(cam.mean(axis=(1, 2)) + head["bias"][LABEL], logits[np.arange(3), LABEL])
    assert np.abs(cam).max() > 0.1
    assert not difference.any()


def test_for_other_models_it_is_grad_cam_at_any_stride() -> None:
    model = models.VGG(5, block_sizes=(1, 1), widths=(4, 6), hidden_sizes=(8,))
    variables = draw_variables(model, IMAGES)

    def rest(params, x):  # the rest of the network after the maps
        x = nn.max_pool(x, (2, 2)).reshape(3, -1)
        x = nn.relu(x @ params["fc1"]["kernel"] + params["fc1"]["bias"][None])
        return x @ params["predictions"]["kernel"] + params["predictions"]["bias"][None]

    @jax.jit
    def found(variables):
        maps = model.apply(variables, IMAGES, method="features")[2]
        score = lambda x: rest(variables["params"], x)[np.arange(3), LABEL].sum()
        same = rest(variables["params"], maps) - model.apply(variables, IMAGES)
        weights = jax.grad(score)(maps).sum(axis=(1, 2), keepdims=True)
        cam = class_activation_map(model, variables, IMAGES, LABEL, stride=2)
        return cam, jnp.sum(weights * maps, axis=-1), same

    cam, by_hand, same = found(variables)
    close(same, 0)
    assert cam.shape == (3, 4, 4)
    close(cam, by_hand)
    assert np.abs(cam).max() > 0.1


def test_models_without_such_a_map_are_refused() -> None:
    model = models.VGG(5, block_sizes=(1,), widths=(4,), hidden_sizes=())
    variables = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
    find = lambda model, **options: jax.eval_shape(
        lambda variables: class_activation_map(model, variables, IMAGES, **options),
        variables,
    )
    with pytest.raises(ValueError, match="stride=8 must be one of the model's: 1, 2"):
        find(model, stride=8)
    with pytest.raises(ValueError, match="include_top=True"):
        find(model.copy(include_top=False))
