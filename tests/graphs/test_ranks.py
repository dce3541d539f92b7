"""Layers for inputs of any rank, along any axis, compared with Keras."""

import jax
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from fdl.keras import import_model
from lazily import Lazily, keras

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

L = Lazily("keras.layers")
ALONG_AN_AXIS = {
    "batch": lambda axis: L.BatchNormalization(axis=axis, momentum=0.5, epsilon=0.25),
    "layer": lambda axis: L.LayerNormalization(axis=axis, epsilon=0.25),
    "rms": lambda axis: L.RMSNormalization(epsilon=0.25),  # other axes fail in Keras
    "group": lambda axis: L.GroupNormalization(2, axis=axis, epsilon=0.25),
    "unit": lambda axis: L.UnitNormalization(axis=axis),
    "adapted": lambda axis: L.Normalization(axis=axis),
    "softmax": lambda axis: L.Softmax(axis=axis),
    "concatenate": lambda axis: lambda x: L.Concatenate(axis=axis)([x, x]),
    "prelu": lambda axis: L.PReLU(alpha_initializer="he_normal", shared_axes=[axis]),
    "dense": lambda axis: L.Dense(3),
}


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
@example("batch", 4, 2)
@example("batch", 3, 1)
@given(st.sampled_from(sorted(ALONG_AN_AXIS)), st.integers(1, 4), st.integers(1, 4))
def test_any_rank_and_axis(name, rank, axis):
    sizes = (2, 4, 2, 4)[:rank]
    axis = min(axis, rank)
    layer = ALONG_AN_AXIS[name](axis)
    image = L.Input(sizes)
    model = keras.Model(image, layer(image))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "int" not in weight.dtype:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    if name == "adapted":
        layer.finalize_state()
    x = rng.normal(size=(3, *sizes)).astype(np.float32)
    ours, variables = import_model(model)
    for train in (False, True):
        y, changed = ours.apply(variables, x, train=train, mutable=["batch_stats"])
        wanted = model(x, training=train)
        np.testing.assert_allclose(y, wanted, rtol=2e-5, atol=2e-6)
    if name == "batch":  # compare the statistics after the step
        _, after = import_model(model)
        mine, theirs = (
            jax.tree.leaves(each["batch_stats"]) for each in (changed, after)
        )
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
