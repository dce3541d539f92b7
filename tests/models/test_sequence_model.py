"""The sequence model: single steps equal the whole, and draws follow the logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import closeness
from fdl.models import SequenceModel, continue_frames
from zoo import draw_variables

FRAMES = (np.random.default_rng(0).random((2, 6, 5)) < 0.4).astype(np.float32)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_steps_equal_the_whole_and_later_steps_do_not_matter(cell) -> None:
    model = SequenceModel(5, cell, 4, num_layers=2)
    variables = draw_variables(model, FRAMES)
    whole = model.apply(variables, FRAMES)
    state = None
    for time in range(6):
        logits, state = model.apply(variables, FRAMES[:, time], state, method="step")
        closeness.close(logits, whole[:, time])
    closeness.close(model.apply(variables, FRAMES[:, :4]), whole[:, :4])


def test_drawn_frames_follow_the_logits() -> None:
    model = SequenceModel(5, "lstm", 4)
    variables = draw_variables(model, FRAMES)
    drawn = continue_frames(model, variables, FRAMES, 7, 0, temperature=0.0)
    every = jnp.concatenate([FRAMES, drawn], axis=1)
    logits = model.apply(variables, every.astype(jnp.float32))
    np.testing.assert_array_equal(drawn, logits[:, 5:-1] > 0)
    # Over many draws, the share of ones has the probability given by the logits.
    many = np.repeat(FRAMES[:1], 4000, axis=0)
    drawn = continue_frames(model, variables, many, 1, 1, temperature=2.0)
    share = drawn.mean(axis=0)[0]
    wanted = jax.nn.sigmoid(model.apply(variables, FRAMES[:1])[0, -1] / 2)
    np.testing.assert_allclose(share, wanted, atol=0.03)


def test_invalid_arguments_are_refused() -> None:
    frames = jnp.zeros((1, 1, 3))
    model = SequenceModel(3, hidden_size=2)
    variables = model.init(jax.random.key(0), frames)
    for given, length, temperature, message in (
        (frames[:, :0], 1, 1.0, "frames is empty"),
        (frames, 0, 1.0, "length=0"),
        (frames, 1, -1.0, "temperature=-1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            continue_frames(model, variables, given, length, 0, temperature=temperature)
