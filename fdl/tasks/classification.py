"""What all classification tasks share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl import metrics
from fdl.arrays import Array, Number, PyTree, is_on
from fdl.data import Dataset, DatasetInfo, short_name
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.learners.supervised import Loss
from fdl.losses import cross_entropy
from fdl.tasks.config import Config
from fdl.tasks.inputs import inputs_of
from fdl.tasks.naive_bayes import naive_bayes
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.task import Trained
from fdl.train import predict


def classify(
    model: Any,
    config: Config,
    info: DatasetInfo,
    *,
    preprocess: Callable[[Array], Array] | None = None,
    loss_weights: Sequence[Number] | None = None,
    project: Callable[[PyTree], PyTree] | None = None,
) -> Learner:
    """Return a learner that trains a model with the cross entropy.

    `preprocess` turns the data into the model's inputs; by default as `inputs_of` says.
    `loss_weights` are for a model with several outputs in training. `project`
    constrains the parameters; by default to the model's own constraints.
    """
    optimizer = make_optimizer(config, info)
    return descend_on_settings(
        lambda loss: supervised(
            model,
            loss,
            optimizer,
            metrics={"accuracy": metrics.accuracy},
            preprocess=preprocess or inputs_of(info),
            project=project or projection_of(model),
            loss_weights=loss_weights,
        ),
        config,
    )


def projection_of(model: Any) -> Callable[[PyTree], PyTree] | None:
    """Return the projection onto a model's parameter constraints; None without any.

    Imported Keras models have `constraints`, by the path of a parameter.
    """
    constraints = getattr(model, "constraints", None)
    if not constraints or not isinstance(constraints, dict):
        return None
    from fdl.keras.constraints import constrain

    return constrain(constraints)


def descend_on_settings(make: Callable[[Loss], Learner], config: Config) -> Learner:
    """Return a classifier's learner with the training loss of its settings.

    Label smoothing and class weights only apply in training: evaluation uses the plain
    cross entropy, so that runs can be compared.

    Args:
        make: Makes the learner, which predicts probabilities, from a loss.
        config: The settings.
    """
    learner = make(cross_entropy)
    smoothing, weights = config.label_smoothing, config.class_weights
    if not is_on(smoothing) and not weights:
        return learner
    if isinstance(weights, str) and weights:
        raise ValueError(
            f"class_weights={weights!r} must be numbers here: use with_class_weights."
        )

    def loss(logits: Array, label: Array) -> Array:
        losses = cross_entropy(logits, label, label_smoothing=smoothing)
        return losses * jnp.asarray(weights)[label] if weights else losses

    return learner._replace(step=make(loss).step)


_CALLED = {"image": "images", "document": "texts"}


def draw_mistakes(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Draw a classifier's confusion matrix and, for images, its mistakes.

    Writes `confusion.png`, and `mistakes.png` if there are any. For texts, returns the
    accuracy of naive Bayes.
    """
    from fdl import report  # imports matplotlib, which takes half a second

    info, name = trained.info, title_of(trained)
    label = np.asarray(dataset.test.label)
    output = predict(trained.learner, trained.state, dataset.test[0])
    counts = metrics.confusion_matrix(label, output.argmax(axis=-1), info.num_classes)
    called = f"{info.test_count:,} test {_CALLED.get(info.kind, 'rows')}"
    report.draw_confusion(
        folder / "confusion", counts, info.class_names, title=f"{name}: {called}"
    )
    if is_seen(info):
        report.draw_mistakes(
            folder / "mistakes",
            dataset.test.image,
            label,
            output,
            info.class_names,
            title=f"{name}, test images",
        )
    if info.kind == "document":
        known = naive_bayes(dataset.train, dataset.test, info.num_classes)
        return {"baseline_accuracy": known}
    return {}


def is_seen(info: DatasetInfo) -> bool:
    """Return whether examples are images that can be shown: gray or in color."""
    return info.kind == "image" and info.input_shape[-1] in (1, 3)


def title_of(trained: Trained) -> str:
    """Return a run's title in pictures: its task and its data."""
    return f"{trained.config.task}-{short_name(trained.info.name)}"
