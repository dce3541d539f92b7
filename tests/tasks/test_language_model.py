"""The `language-model` task."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from fdl import data, fit, tasks
from fdl.metrics import compute

TASK = tasks.find("language-model")
OPTIONS = dataclasses.replace(TASK.options, features=16, num_layers=1, dropout_rate=0.0)


@pytest.fixture(scope="module")
def trained() -> tasks.Trained:
    """Train on a text that repeats itself: "abcdabcd..."."""
    info = data.DatasetInfo(
        "", "", "", 4, tuple("abcd"), (16,), 32, 0, 8, "", (), kind="text"
    )
    config = TASK.config(options=OPTIONS, epochs=20, batch_size=8, learning_rate=1e-2)
    model = TASK.make_model(config.options, info)
    learner = TASK.learn(model, config, info)
    token = (np.arange(33)[:, None] + np.arange(16)) % 4
    text = (token[:32].astype(np.int32), token[1:].astype(np.int32))
    run = fit(learner, text, epochs=20, batch_size=8, key=jax.random.key(0))
    assert run.history[-1].train["accuracy"] > 0.95
    return tasks.Trained(config, info, model, learner, run.state)


def test_generation_continues_the_prompt(trained: tasks.Trained) -> None:
    sampling = tasks.Sampling(count=2, prompt="bcd", length=20, temperature=0.0)
    texts = TASK.generate(trained, jax.random.key(0), sampling)
    assert texts == ["bcd" + "abcd" * 5] * 2


def test_bits_per_character_follow_from_the_loss(trained: tasks.Trained) -> None:
    token = np.arange(16, dtype=np.int32)[None] % 4
    measured = compute(
        trained.learner.evaluate(trained.state, (token, (token + 1) % 4))
    )
    bits = measured["loss"] / math.log(2)
    assert measured["bits_per_character"] == pytest.approx(bits, rel=1e-5)


def test_unknown_characters_in_a_prompt_are_refused(trained: tasks.Trained) -> None:
    with pytest.raises(ValueError, match=r"the prompt contains 'x'.*it knows 'abcd'"):
        TASK.generate(trained, jax.random.key(0), tasks.Sampling(prompt="abx"))


def test_the_exported_model_takes_integer_tokens(trained: tasks.Trained) -> None:
    (part,) = TASK.parts(trained).values()
    logits = part.model.apply(part.variables, *part.inputs)
    assert logits.shape == (1, 16, 4)
