"""Recurrent tasks: how they read images as sequences, in runs and in exports."""

import jax
import numpy as np
import pytest

import fdl
from fdl.tasks import Trained, find
from fdl.tasks.recurrent import RecurrentOptions, permuted, pixels, rows

INFO = fdl.data.load("mnist-5k").info


def test_rows_and_pixels_are_in_reading_order() -> None:
    image = np.arange(2 * 3 * 4 * 2, dtype=np.uint8).reshape(2, 3, 4, 2)
    by_row, by_pixel = rows(image), pixels(image)
    np.testing.assert_array_equal(
        by_row[1, 2], image[1, 2].reshape(-1) / np.float32(255)
    )
    assert by_pixel.shape == (2, 12, 2)
    np.testing.assert_array_equal(by_pixel[1, 5], image[1, 1, 1] / np.float32(255))


def test_all_images_share_one_permutation_of_pixels() -> None:
    image = np.arange(3 * 6 * 5 * 2, dtype=np.uint8).reshape(3, 6, 5, 2)
    plain, found = (np.asarray(x) for x in (pixels(image), permuted(image, seed=1)))
    order = [int(np.flatnonzero((plain[0] == x).all(axis=-1))[0]) for x in found[0]]
    assert sorted(order) == list(range(30))
    assert order != list(range(30))
    np.testing.assert_array_equal(found, plain[:, order])
    assert (permuted(image, seed=2) != found).any()
    with pytest.raises(ValueError, match="permute=True needs pixels, but steps='rows'"):
        RecurrentOptions(permute=True)


def test_a_permuted_run_can_be_loaded_and_exported(tmp_path, monkeypatch) -> None:
    image = np.random.default_rng(0).integers(256, size=(30, 4, 5), dtype=np.uint8)
    small = fdl.data.split(fdl.data.from_arrays(image, np.arange(30) % 2))
    monkeypatch.setattr(fdl.data, "load", lambda *args, **options: small)
    options = {"steps": "pixels", "permute": True, "permutation": 7, "hidden_size": 3}
    settings = {"dataset": "mnist-5k", "batch_size": 12, "epochs": 1, **options}
    fdl.runs.train("rnn", path=tmp_path / "run", **settings)
    opened = fdl.load(tmp_path / "run")
    assert opened.config.options.permutation == 7
    sequence = permuted(small.test.image[:2], seed=7)
    logits = opened.model.apply(opened.variables, sequence)
    answer = opened.predict(small.test.image[:2])
    np.testing.assert_allclose(answer, jax.nn.softmax(logits), rtol=1e-4)
    opened.export(tmp_path / "a.stablehlo")
    exported = fdl.load(tmp_path / "a.stablehlo").predict(small.test.image[:2])
    np.testing.assert_allclose(exported, answer, rtol=1e-4)


# How images are read does not depend on the cell.
@pytest.mark.parametrize(
    ("name", "steps", "read", "shape"),
    [
        ("lstm", "rows", rows, (1, 28, 28)),
        ("gru", "pixels", pixels, (1, 784, 1)),
    ],
)
def test_options_reach_model_learner_and_export(
    tmp_path, name: str, steps: str, read, shape: tuple[int, ...]
) -> None:
    task = find(name)
    options = RecurrentOptions(
        steps=steps, hidden_size=3, num_layers=2, bidirectional=True, dropout_rate=0.5
    )
    config = task.config(options=options)
    model = task.make_model(options, INFO)
    assert (model.hidden_size, model.num_layers) == (3, 2)
    assert (model.bidirectional, model.dropout_rate) == (True, 0.5)
    learner = task.learn(model, config, INFO)
    image = np.random.default_rng(0).integers(256, size=(2, 28, 28, 1), dtype=np.uint8)
    batch = fdl.Batch(image, np.zeros(2, np.int32))
    state = jax.jit(learner.init)(jax.random.key(0), batch)
    logits = jax.jit(model.apply)({"params": state.params}, read(image))
    np.testing.assert_allclose(
        jax.jit(learner.predict)(state, image), jax.nn.softmax(logits), rtol=1e-5
    )
    (part,) = task.parts(Trained(config, INFO, model, learner, state)).values()
    assert [x.shape for x in part.inputs] == [shape]
    file = tmp_path / "it.keras"
    fdl.keras.save_weights(file, part.model, part.variables, *part.inputs)
    loaded = fdl.keras.load_weights(file, model)  # the file describes its inputs
    jax.tree.map(np.testing.assert_array_equal, loaded, part.variables)
