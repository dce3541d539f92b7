"""Make a learner from a task and the settings of a run, with what all tasks share."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array, Key, is_on
from fdl.data import DatasetInfo, augment, example
from fdl.learner import Learner, State
from fdl.learners import augmented, averaged, frozen
from fdl.members import tunable
from fdl.models.backbone import Backbone, backbone_layers
from fdl.nn import Frozen, MixedPrecision
from fdl.programs import program
from fdl.tasks.config import Config
from fdl.tasks.description import require_taken
from fdl.tasks.loading import require_sizes
from fdl.tasks.task import Task, Trained
from fdl.train.chunk import total_bytes
from fdl.train.loop import tune_and_init
from fdl.train.start import require_countable


def _within_range(key: Key, image: Array) -> Array:
    return jnp.clip(image, 0, 1)


BACKBONE = "backbone"
"""Name in `Config.freeze` of all layers before a model's head."""

_CROP_AND_FLIP = augment.crop(4), augment.flip()

_RECIPES: Mapping[str, augment.Change] = {
    "shift": augment.shift(2),
    "digits": augment.compose(augment.shift(2), augment.rotate(10.0)),
    "photos": augment.compose(*_CROP_AND_FLIP),
    "cutout": augment.compose(*_CROP_AND_FLIP, augment.cutout(8)),
    "colors": augment.compose(
        *_CROP_AND_FLIP, augment.brightness(0.2), augment.contrast(0.2), _within_range
    ),
}
"""Augmentations of training images, by the name of a recipe."""


def assemble(task: Task, config: Config, info: DatasetInfo) -> Learner:
    """Return the learner of a run.

    This is the task's own learner, where the settings may wrap its model (precision,
    frozen layers) and its steps (augmentation, a moving average of the parameters).

    Raises:
        ValueError: If the task does not support a setting.
    """
    require_taken(task, config)
    model = task.make_model(config.options, info)
    freeze = frozen_layers(config, model, info)
    if config.precision == "bfloat16":
        model = MixedPrecision(model)
    if freeze:
        model = Frozen(model, freeze)
    learner = task.learn(model, config, info)
    if config.augment != "none":
        if info.kind != "image":
            raise ValueError(
                f"augment={config.augment!r} is for images, and {info.title} has none."
            )
        learner = augmented(learner, _RECIPES[config.augment])
    if freeze:
        learner = frozen(learner, freeze)
    if is_on(config.ema):
        learner = averaged(learner, config.ema)
    return learner


def frozen_layers(config: Config, model: Any, info: DatasetInfo) -> tuple[str, ...]:
    """Return the patterns of frozen parameters, with layers in place of `backbone`.

    A model that is not a `Backbone` may have a module of this name.
    """
    patterns = config.freeze
    if BACKBONE in patterns and isinstance(model, Backbone):
        layers = backbone_layers(model, example(info)[0])
        patterns = (*(name for name in patterns if name != BACKBONE), *layers)
    return patterns


def make_learner(
    task: Task,
    config: Config,
    info: DatasetInfo,
    change: Callable[[Config, Any], Config],
) -> Callable[[Any], Learner]:
    """Return a function that makes a task's learner from hyperparameters.

    Args:
        task: The task.
        config: Settings of the run.
        info: Its data.
        change: `(config, hparams) -> config`: puts hyperparameters into settings.
    """

    def make(hparams: Any) -> Learner:
        return assemble(task, change(config, hparams), info)

    return make


def _with_rate(config: Config, hparams: Mapping[str, Any]) -> Config:
    return dataclasses.replace(config, learning_rate=hparams["learning_rate"])


def _require_memory(state: State) -> None:
    """Reject a model whose state does not fit into the memory of the device."""
    needed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    available = total_bytes()
    if needed > available:
        count = sum(x.size for x in jax.tree.leaves(state.params))
        raise ValueError(
            f"the model has {count:,} parameters, which need {needed / 2**30:,.0f} GiB "
            f"for training, and the device has {available / 2**30:,.0f} GiB: make the "
            "model smaller."
        )


def draw_state(trained: Trained) -> State:
    """Return a state with random parameters, to be replaced by trained ones."""
    learner, key = trained.learner, jax.random.key(trained.config.seed)
    draw = program(tune_and_init, learner.tune, once=True)  # as training does
    return draw(learner.hparams, key, example(trained.info))


def outline(
    task: Task,
    config: Config,
    info: DatasetInfo,
    *,
    hparams: Mapping[str, Any] | None = None,
    change: Callable[[Config, Any], Config] = _with_rate,
) -> Trained:
    """Return a run before training, whose state has only shapes and types.

    The hyperparameters in its state are `hparams`, by default the learning rate alone;
    `change` is as for `make_learner`.
    """
    model = task.make_model(config.options, info)
    require_sizes(task.name, model, info)
    learner = tunable(
        make_learner(task, config, info, change),
        {"learning_rate": config.learning_rate} if hparams is None else hparams,
    )
    key = jax.random.key(config.seed)
    draw = program(tune_and_init, learner.tune, once=True)
    state = draw.eval_shape(learner.hparams, key, example(info))
    _require_memory(state)
    require_countable(config.epochs, -(-info.train_count // config.batch_size))
    return Trained(config, info, model, learner, state)
