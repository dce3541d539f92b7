"""Any task on any data of its kind."""

import re

import numpy as np
import pytest

import fdl
from fdl import data, tasks
from fdl.models import DCGANGenerator, VisionTransformer
from fdl.models.sizes import sizes
from fdl.nn import TransformerEncoder
from fdl.plain import DATASETS

FEW = np.arange(60) % 3


@pytest.fixture
def lines(tmp_path):
    """Lines of small datasets of each kind, with 48 training examples."""
    test = (FEW[:12], np.arange(12) % 3)
    arrays = {
        "image": np.zeros((60, 20, 24, 3), np.uint8),
        "tiny": np.zeros((60, 8, 8, 1), np.uint8),
        "vector": np.random.default_rng(0).normal(size=(60, 5)) + FEW[:, None],
    }
    for name, x in arrays.items():
        train = {"x_train": x[12:], "y_train": FEW[12:]}
        np.savez(tmp_path / f"{name}.npz", **train, x_test=x[:12], y_test=test[1])
    return {name: f"npz:{tmp_path / name}.npz" for name in arrays}


IMAGE_TASKS = """
    cnn lenet5 alexnet vgg googlenet resnet densenet mlp mnist-fast lstm transformer
    autoencoder vae gan
""".split()


@pytest.mark.parametrize("name", IMAGE_TASKS)
def test_tasks_of_images_take_their_shape_and_classes_from_the_data(name, lines):
    options = {"patch_size": 4} if name == "transformer" else {}
    config = fdl.runs.configure(name, dataset=lines["image"], **options)
    assert config.batch_size == 5  # an eighth of what is left to train on
    dataset = tasks.load(tasks.find(name), config)
    trained = tasks.outline(tasks.find(name), config, dataset.info)
    batch = fdl.Batch(dataset.train.image[:2], dataset.train.label[:2])
    if tasks.find(name).predicts == "classes":
        import jax

        found = jax.eval_shape(trained.learner.predict, trained.state, batch.image)
        assert found.shape == (2, 3)


def test_a_task_refuses_data_of_another_kind(lines):
    for name, line, words in [
        ("cnn", lines["vector"], "takes images with classes, but vector holds rows of"),
        ("language-model", lines["image"], "takes text, but image holds images"),
        ("mlp", "python-docs", "takes images with classes or rows"),
    ]:
        task = tasks.find(name)
        with pytest.raises(data.DataError, match=words):
            tasks.load(task, task.config(dataset=line))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cnn", {}, "from 18x18 pixels to any size"),
        ("mnist-fast", {}, "from 10x10 pixels"),
        ("vgg", {}, "from 16x16 pixels to any size"),
        ("transformer", {}, "from 7x7 pixels to any size, in multiples of 7"),
    ],
)
def test_a_size_that_a_model_cannot_take_names_those_that_it_can(
    name, options, words, lines
):
    task = tasks.find(name)
    config = task.config(dataset=lines["tiny"])
    info = tasks.load(task, config).info
    with pytest.raises(data.DataError, match=re.escape(words)):
        tasks.outline(task, config, info)


def test_models_say_the_sizes_that_they_really_take():
    import jax

    def works(model, pixels):
        shape = (1, pixels, pixels, 1)
        try:
            jax.eval_shape(model.init, jax.random.key(0), np.zeros(shape, np.float32))
        except ValueError:
            return False
        return True

    encoder = TransformerEncoder(num_layers=1, num_heads=2)
    for model in (
        fdl.models.CNN(3),
        fdl.models.FastCNN(3),
        VisionTransformer(3, encoder, 8, 5),
    ):
        (limits,) = sizes(model)
        for pixels in range(1, 21):
            assert works(model, pixels) == limits.allow(pixels), (model, pixels)
    (limits,) = sizes(DCGANGenerator((12, 12, 1)))
    assert [n for n in range(1, 13) if limits.allow(n)] == [4, 8, 12]


def test_a_run_on_data_of_ones_own(lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(300, 2)) * (1000, 0.001)
    rows = [f"{a},{b},{3 * a + 4e6 * b + 5000}" for a, b in x]
    (tmp_path / "lines.csv").write_text("\n".join(["a,b,c", *rows]), "utf-8")
    run = fdl.runs.train("regress", dataset="csv:lines.csv?target=c", epochs=25)
    assert run.path.name.startswith("regress-lines-")
    assert run.metrics["r2_score"] > 0.99
    test = run.dataset().test
    told = run.predict(test.inputs)
    error = np.abs(told - test.targets).mean()
    assert error == pytest.approx(run.metrics["mean_absolute_error"], rel=1e-3)
    assert 1 < error < 800
    monkeypatch.chdir("/")  # the path is kept in full
    opened = fdl.load(tmp_path / run.path)
    assert opened.config.dataset == f"csv:{tmp_path}/lines.csv?target=c"
    assert opened.evaluate() == run.metrics
    with pytest.raises(data.DataError, match="takes rows with a number to predict"):
        opened.dataset(lines["vector"])
    with pytest.raises(ValueError, match="'regress' needs your own data"):
        tasks.find("regress").config()


def test_defaults_know_how_many_examples_named_datasets_have():
    for name, count in DATASETS.items():
        (status,) = data.status(name)
        assert status.train_count == pytest.approx(count, rel=0.1)
    assert tuple(DATASETS) == data.names()


@pytest.mark.parametrize(
    ("name", "epochs"),
    [("cnn", (5, 5, 20)), ("gan", (12, 12, 60)), ("autoencoder", (30, 30, 100))],
)
def test_defaults_of_named_datasets(name, epochs):
    found = [tasks.describe(name).config(dataset=line) for line in tuple(DATASETS)[:3]]
    assert tuple(config.epochs for config in found) == epochs
    assert {config.batch_size for config in found} == {tasks.find(name).batch_size}
    assert tasks.describe("language-model").config().epochs == 15
    assert tasks.describe("language-model").config().batch_size == 8
