"""Tasks on any data of a kind that they support."""

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
    """Names of small datasets of several kinds, with 48 training examples each."""
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
def test_image_tasks_take_shape_and_classes_from_the_data(name, lines):
    options = {"patch_size": 4} if name == "transformer" else {}
    config = fdl.runs.configure(name, dataset=lines["image"], **options)
    assert config.batch_size == 5  # an eighth of the 40 examples left to train on
    dataset = tasks.load(tasks.find(name), config)
    trained = tasks.outline(tasks.find(name), config, dataset.info)
    batch = fdl.Batch(dataset.train.image[:2], dataset.train.label[:2])
    if tasks.find(name).predicts == "classes":
        import jax

        found = jax.eval_shape(trained.learner.predict, trained.state, batch.image)
        assert found.shape == (2, 3)


def test_a_task_refuses_data_of_another_kind(lines):
    for name, line, message in [
        ("cnn", lines["vector"], "takes images with classes, but vector holds rows of"),
        ("language-model", lines["image"], "takes text, but image holds images"),
        ("mlp", "python-docs", "takes images with classes or rows"),
    ]:
        task = tasks.find(name)
        with pytest.raises(data.DataError, match=message):
            tasks.load(task, task.config(dataset=line))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cnn", {}, "from 18x18 pixels to any size"),
        ("mnist-fast", {}, "from 10x10 pixels"),
        ("vgg", {}, "from 16x16 pixels to any size"),
        ("transformer", {}, "from 7x7 pixels to any size, in multiples of 7"),
    ],
)
def test_unsupported_sizes_are_refused_with_the_supported_ones(
    name, options, message, lines
):
    task = tasks.find(name)
    config = task.config(dataset=lines["tiny"])
    info = tasks.load(task, config).info
    with pytest.raises(data.DataError, match=re.escape(message)):
        tasks.outline(task, config, info)


def test_declared_sizes_are_those_that_models_accept():
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


def test_a_run_on_a_users_own_data(lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(300, 2)) * (1000, 0.001)
    rows = [f"{a},{b},{3 * a + 4e6 * b + 5000}" for a, b in x]
    (tmp_path / "lines.csv").write_text("\n".join(["a,b,c", *rows]), "utf-8")
    run = fdl.runs.train("regress", dataset="csv:lines.csv?target=c", epochs=25)
    assert run.path.name.startswith("regress-lines-")
    assert run.metrics["r2_score"] > 0.99
    test = run.dataset().test
    predicted = run.predict(test.inputs)
    error = np.abs(predicted - test.targets).mean()
    assert error == pytest.approx(run.metrics["mean_absolute_error"], rel=1e-3)
    assert 1 < error < 800
    monkeypatch.chdir("/")  # the run stores the absolute path
    opened = fdl.load(tmp_path / run.path)
    assert opened.config.dataset == f"csv:{tmp_path}/lines.csv?target=c"
    assert opened.evaluate() == run.metrics
    with pytest.raises(data.DataError, match="takes rows with a number to predict"):
        opened.dataset(lines["vector"])
    with pytest.raises(ValueError, match="'regress' needs your own data"):
        tasks.find("regress").config()


def test_recorded_example_counts_match_the_named_datasets():
    for name, count in DATASETS.items():
        (status,) = data.status(name)
        assert status.train_count == pytest.approx(count, rel=0.1)
    assert tuple(DATASETS) == data.names()


@pytest.mark.parametrize(
    ("name", "epochs"),
    [("cnn", (5, 5, 20)), ("gan", (12, 12, 60)), ("autoencoder", (30, 30, 100))],
)
def test_default_epochs_and_batch_sizes_of_named_datasets(name, epochs):
    found = [tasks.describe(name).config(dataset=line) for line in tuple(DATASETS)[:3]]
    assert tuple(config.epochs for config in found) == epochs
    assert {config.batch_size for config in found} == {tasks.find(name).batch_size}
    assert tasks.describe("language-model").config().epochs == 15
    assert tasks.describe("language-model").config().batch_size == 8
