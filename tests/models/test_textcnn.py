"""TextCNN: padding changes nothing, and the norms of weights are limited."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import closeness
import fdl
from fdl import models
from fdl.tasks.phrases import excited
from fdl.tasks.sequence_options import TextCNNOptions
from zoo import draw_variables

MODEL = models.TextCNN(3, 9, features=4, widths=(2, 5), maps=3, dropout_rate=0.0)
APPLY = jax.jit(MODEL.apply)
TOKEN = np.array([[3, 5, 8, 2], [7, 1, 0, 0], [4, 0, 0, 0]], np.int32)


def test_the_vector_of_padding_gets_no_gradient() -> None:
    total = lambda variables: jnp.sum(MODEL.apply(variables, TOKEN) ** 2)
    gradient = jax.jit(jax.grad(total))(draw_variables(MODEL, TOKEN))
    moves = np.abs(gradient["params"]["embed"]["embedding"]).max(axis=1) > 0
    np.testing.assert_array_equal(moves, np.isin(np.arange(9), TOKEN[TOKEN > 0]))


def test_windows_without_a_word_do_not_count() -> None:
    # They would have the value 1, and all others have negative values.
    variables = jax.tree.map(np.ones_like, draw_variables(MODEL, TOKEN))
    for name in ("conv1", "conv2"):
        variables["params"][name]["kernel"] *= -1
    logits = APPLY(variables, TOKEN)
    closeness.close(logits, np.ones((3, 3), np.float32))  # the bias of the head


def test_logits_of_a_sentence_of_padding_are_the_bias_of_the_head() -> None:
    variables = draw_variables(MODEL, TOKEN)
    for logits in APPLY(variables, np.zeros_like(TOKEN)):
        closeness.close(logits, variables["params"]["head"]["bias"])


def test_excited_finds_the_window_with_the_largest_value() -> None:
    variables = draw_variables(MODEL, TOKEN)
    found = excited(MODEL, variables, TOKEN)
    params = variables["params"]
    for filters, name, width in ((slice(3), "conv1", 2), (slice(3, 6), "conv2", 5)):
        for text, token in enumerate(TOKEN):
            words = int((token > 0).sum())
            places, windows = range(1 - width, words), []
            for first in places:
                x = params[name]["bias"]
                for n in range(max(0, first), min(words, first + width)):
                    vector = params["embed"]["embedding"][token[n]]
                    x = x + vector @ params[name]["kernel"][n - first]
                windows.append(x)
            best = np.argmax(windows, axis=0)
            closeness.close(
                found.value[text, filters], np.maximum(np.max(windows, axis=0), 0)
            )
            np.testing.assert_array_equal(
                found.place[text, filters], np.array(places)[best]
            )


def test_every_width_has_a_convolution() -> None:
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), TOKEN)["params"]
    assert shapes["conv1"]["kernel"].shape == (2, 4, 3)
    assert shapes["conv2"]["kernel"].shape == (5, 4, 3)
    for widths, message in (((), "at least one"), ((3, 0), "widths")):
        with pytest.raises(ValueError, match=message):
            MODEL.clone(widths=widths).init(jax.random.key(0), TOKEN)


def test_the_task_limits_the_norms_of_classes(tmp_path) -> None:
    rows = [f"{word} thing,up" for word in ("good", "nice", "fine")]
    rows += [f"{word} thing,down" for word in ("bad", "poor", "sad")]
    (tmp_path / "texts.csv").write_text("\n".join(["text,mood", *rows * 8]))
    run = fdl.runs.train(
        "textcnn",
        path=tmp_path / "run",
        dataset=f"csv:{tmp_path}/texts.csv?target=mood&text=text",
        learning_rate=0.3,
        schedule="constant",
        epochs=4,
        validation=None,
        batch_size=10,  # divides the 40 examples, so one program
        options=TextCNNOptions(max_norm=0.5),
    )
    assert run.metrics["accuracy"] == run.metrics["baseline_accuracy"] == 1
    page = (tmp_path / "run/phrases.html").read_text()
    up, down = page.split("<h2>down</h2>")[1].split("<h2>up</h2>")[::-1]
    assert re.search("<td>(good|nice|fine)( thing)?</td>", up)
    assert re.search("<td>(bad|poor|sad)( thing)?</td>", down)
    assert "[PAD]" not in page
    kernel = run.state.params["head"]["kernel"]
    norms = jnp.linalg.norm(kernel, axis=0)
    closeness.close(jnp.max(norms), np.float32(0.5), 1e-3)
