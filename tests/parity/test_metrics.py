"""Metrics compared with Keras', on weighted random data in batches of unequal sizes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics
from lazily import Lazily, keras

CLASSES = 7
BATCHES = [slice(0, 74), slice(74, 148), slice(148, 150)]

pytestmark = pytest.mark.parity


def draw(kind):
    """Draw outputs and targets of 150 examples, and the outputs in Keras' form."""
    rng = np.random.default_rng(0)
    if kind == "values":
        outputs, targets = rng.normal(size=(2, 150, 3))
        targets = targets / 2 + outputs + 0.5
        return outputs, targets, outputs
    if kind == "binary":
        targets = rng.integers(2, size=(150, 3))
        outputs = targets + 1.5 * rng.normal(size=(150, 3))
        return outputs, targets, 1 / (1 + np.exp(-outputs))
    label = rng.integers(CLASSES - 1, size=150)  # one class never occurs
    outputs = 2 * rng.normal(size=(150, CLASSES)) + 2 * np.eye(CLASSES)[label]
    p = np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True)
    return outputs, np.eye(CLASSES)[label] if kind == "one-hot" else label, p


def exponential():
    """Return perplexity in Keras: the exponential of the cross entropy."""

    class Exponential(k.SparseCategoricalCrossentropy):
        def result(self):
            return keras.ops.exp(super().result())

    return Exponential()


def overlap(**options):
    return k.MeanIoU(CLASSES, sparse_y_pred=False, dtype="float32", **options)


k = Lazily("keras.metrics")
CASES = {
    "accuracy": ("classes", metrics.accuracy, lambda: k.SparseCategoricalAccuracy()),
    "accuracy one-hot": ("one-hot", metrics.accuracy, lambda: k.CategoricalAccuracy()),
    "top 3": (
        "classes",
        partial(metrics.top_k_accuracy, k=3),
        lambda: k.SparseTopKCategoricalAccuracy(k=3),
    ),
    "top 5 one-hot": (
        "one-hot",
        metrics.top_k_accuracy,
        lambda: k.TopKCategoricalAccuracy(),
    ),
    "perplexity": ("classes", metrics.perplexity, exponential),
    "iou": ("classes", metrics.iou, overlap),
    "iou one-hot": ("one-hot", metrics.iou, partial(overlap, sparse_y_true=False)),
    "binary accuracy": ("binary", metrics.binary_accuracy, lambda: k.BinaryAccuracy()),
    "binary accuracy 0.7": (
        "binary",
        partial(metrics.binary_accuracy, threshold=0.7),
        lambda: k.BinaryAccuracy(threshold=0.7),
    ),
    "precision": ("binary", metrics.precision, lambda: k.Precision()),
    "precision 0.7": (
        "binary",
        partial(metrics.precision, threshold=0.7),
        lambda: k.Precision(thresholds=0.7),
    ),
    "recall": ("binary", metrics.recall, lambda: k.Recall()),
    "recall 0.3": (
        "binary",
        partial(metrics.recall, threshold=0.3),
        lambda: k.Recall(thresholds=0.3),
    ),
    "F1": (
        "binary",
        metrics.f1_score,
        lambda: k.F1Score(average="micro", threshold=0.5),
    ),
    "F1 per class": (
        "binary",
        partial(metrics.f1_score, threshold=0.4, per_class=True),
        lambda: k.F1Score(threshold=0.4),
    ),
    "AUC": ("binary", metrics.auc, lambda: k.AUC()),
    "AUC of 20": (
        "binary",
        partial(metrics.auc, num_thresholds=20),
        lambda: k.AUC(num_thresholds=20),
    ),
    "MAE": ("values", metrics.mean_absolute_error, lambda: k.MeanAbsoluteError()),
    "MSE": ("values", metrics.mean_squared_error, lambda: k.MeanSquaredError()),
    "RMSE": (
        "values",
        metrics.root_mean_squared_error,
        lambda: k.RootMeanSquaredError(),
    ),
    "R2": ("values", metrics.r2_score, lambda: k.R2Score()),
}


@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "plain"])
@pytest.mark.parametrize("name", CASES)
def test_metric(name, weighted) -> None:
    kind, metric, reference = CASES[name]
    outputs, targets, given = draw(kind)
    rng = np.random.default_rng(1)
    weights = rng.gamma(1.0, size=150).astype(np.float32)
    weights[::5] = 0
    theirs, measure = reference(), jax.jit(metric)
    totals = None
    for part in BATCHES:
        batch = jnp.asarray(outputs[part], jnp.float32), jnp.asarray(targets[part])
        own = weights[part] if weighted else None
        # With several axes, these metrics of Keras take a weight for each label.
        spread = own is not None and kind == "binary" and "F1" not in name
        each = np.repeat(own[:, None], 3, axis=1) if spread else own
        if name.startswith("binary accuracy"):
            each = own
        theirs.update_state(targets[part], given[part].astype(np.float32), each)
        found = {"it": measure(*batch, own)}
        totals = found if totals is None else metrics.add(totals, found)
    wanted = np.asarray(theirs.result())
    np.testing.assert_allclose(metrics.compute(totals)["it"], wanted, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_parts_and_members_have_the_same_value(name) -> None:
    kind, metric, _ = CASES[name]
    outputs, targets, _ = draw(kind)
    outputs = np.stack([outputs, outputs[::-1], 0.3 * outputs]).astype(np.float32)
    weights = np.random.default_rng(1).gamma(1.0, size=150).astype(np.float32)
    targets = jnp.asarray(targets)
    of_all = [jax.jit(metric)(one, targets, weights) for one in outputs]
    wanted = [metrics.compute({"it": one})["it"] for one in of_all]
    of_members = jax.jit(jax.vmap(metric, in_axes=(0, None, None)))
    totals = None
    for part in BATCHES:
        found = {"it": of_members(outputs[:, part], targets[part], weights[part])}
        totals = found if totals is None else metrics.add(totals, found)
    found = metrics.compute(totals)["it"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-5, atol=1e-6)
    # The class of metrics is the same under vmap.
    assert type(totals["it"]) is type(of_all[0])
    assert isinstance(totals["it"], metrics.Metric)
