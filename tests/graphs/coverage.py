"""Write docs/migrating/keras.md from the tables: `python tests/graphs/coverage.py`."""

import inspect
import os
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "migrating" / "keras.md"

MARK = "## Layers"  # the text before it is written by hand
PLANNED = "planned"
APPLICATIONS = ("CustomScaleLayer", "LayerScale", "StochasticDepth")
THRESHOLD = "a name cannot have its arguments; `keras.ops.threshold` is supported"
ACTS = {
    "sparsemax": "as in Keras 3.15, whose values do not sum to one",
}

# Classes that fdl has under another name, or does not need.
WRITTEN = {
    "Activation": "`fdl.nn.relu`, ...",
    "Add": "`x + y`",
    "Average": "`(x + y) / 2`",
    "AveragePooling2D": "`fdl.nn.avg_pool`",
    "Concatenate": "`jnp.concatenate`",
    "Cropping2D": "`x[..., 1:-1, 1:-1, :]`",
    "Dot": "`jnp.einsum`",
    "ELU": "`fdl.nn.elu`",
    "EinsumDense": "`flax.linen.DenseGeneral`",
    "Flatten": "`x.reshape(*x.shape[:-3], -1)`",
    "GRUCell": "`fdl.nn.GRU(...).step`",
    "GaussianNoise": "`fdl.data.augment.noise`",
    "GlobalAveragePooling2D": "`fdl.nn.global_avg_pool`",
    "GlobalMaxPooling2D": "`fdl.nn.global_max_pool`",
    "Identity": "`x`",
    "InputLayer": "nothing: shapes follow from the input",
    "LSTMCell": "`fdl.nn.LSTM(...).step`",
    "Lambda": "any function",
    "LeakyReLU": "`fdl.nn.leaky_relu`",
    "Masking": "`mask=`, see `fdl.nn.length_mask`",
    "MaxPooling2D": "`fdl.nn.max_pool`",
    "Maximum": "`jnp.maximum`",
    "Minimum": "`jnp.minimum`",
    "Multiply": "`x * y`",
    "Permute": "`jnp.transpose`",
    "Pipeline": "`flax.linen.Sequential`",
    "RMSNormalization": "`flax.linen.RMSNorm`",
    "RNN": "`flax.linen.RNN`, or `flax.linen.scan`",
    "RandomBrightness": "`fdl.data.augment.brightness`",
    "RandomContrast": "`fdl.data.augment.contrast`",
    "RandomCrop": "`fdl.data.augment.crop`",
    "RandomErasing": "`fdl.data.augment.cutout`",
    "MixUp": "`fdl.data.augment.mixup`",
    "RandomFlip": "`fdl.data.augment.flip`",
    "RandomRotation": "`fdl.data.augment.rotate`",
    "RandomTranslation": "`fdl.data.augment.shift`",
    "ReLU": "`fdl.nn.relu`",
    "RepeatVector": "`jnp.repeat`",
    "Rescaling": "`x * scale + offset`",
    "Reshape": "`x.reshape`",
    "SimpleRNNCell": "`fdl.nn.SimpleRNN(...).step`",
    "Softmax": "`fdl.nn.softmax`",
    "Subtract": "`x - y`",
    "TimeDistributed": "nothing: leading axes are a batch",
    "UpSampling2D": "`fdl.nn.upsample`",
    "ZeroPadding2D": "`fdl.nn.zero_pad`",
    "AdamW": "`fdl.keras.adamw`",
    "RMSprop": "`fdl.keras.rmsprop`",
    "ScheduleFreeAdamW": "`fdl.keras.schedulefreeadamw`",
    "LossScaleOptimizer": "`fdl.keras.loss_scaled`",
    "IoU": "`fdl.metrics.iou`",
    "MeanIoU": "`fdl.metrics.iou`",
    "SparseCategoricalAccuracy": "`fdl.metrics.accuracy`",
    "CategoricalAccuracy": "`fdl.metrics.accuracy`",
    "SparseTopKCategoricalAccuracy": "`fdl.metrics.top_k_accuracy`",
    "TopKCategoricalAccuracy": "`fdl.metrics.top_k_accuracy`",
    "SparseCategoricalCrossentropy": "`fdl.losses.sparse_categorical_crossentropy`",
}
BASES = {
    "Constraint",
    "Initializer",
    "InputSpec",
    "Layer",
    "LearningRateSchedule",
    "Loss",
    "Metric",
    "MeanMetricWrapper",
    "MultiOptimizer",
    "Optimizer",
    "OptimizerMap",
    "Regularizer",
    "Wrapper",
}


def classes(module):
    """Return the names of the classes of a Keras module, without aliases."""
    found = {}
    for name, value in vars(module).items():
        if inspect.isclass(value):
            found.setdefault(value.__name__, name)
    return sorted(set(found) - BASES)


def written(name, ours):
    """Return what to write in fdl for a Keras class; empty if there is nothing."""
    low = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    for one in (name, low):
        if one in dir(ours):
            return f"`{ours.__name__}.{one}`"
    return WRITTEN.get(name, "")


def page():
    """Return the page."""
    import keras

    import fdl
    from fdl.keras import constraints, schedules
    from fdl.keras.table import LAYERS, OUT_OF_SCOPE
    from fdl.keras.table.activations import ACTIVATIONS
    from fdl.keras.table.initializers import INITIALIZERS
    from fdl.keras.table.regularizers import CONSTRAINTS, REGULARIZERS

    def support_table(names, known, ours, notes=None):
        notes = notes or {}
        yield from ["", "| Keras | in fdl | imported |", "| --- | --- | --- |"]
        for name in names:
            reason = {**OUT_OF_SCOPE, "threshold": THRESHOLD}.get(name)
            state = "supported" if name in known else reason or PLANNED
            if notes.get(name):
                state += f"; {notes[name]}"
            yield f"| `{name}` | {written(name, ours)} | {state} |"

    def name_table(names, ours):
        yield from ["", "| Keras | in fdl |", "| --- | --- |"]
        yield from (f"| `{name}` | {written(name, ours)} |" for name in names)

    notes = {name: entry.level for name, entry in LAYERS.items()}
    functions = [
        name
        for name, value in vars(keras.activations).items()
        if callable(value) and name not in ("get", "serialize", "deserialize")
    ]
    layers = sorted([*classes(keras.layers), *APPLICATIONS])
    lines = [PAGE.read_text().partition(MARK)[0].rstrip(), "", MARK]
    lines += support_table(layers, {*LAYERS, "InputLayer"}, fdl.nn, notes)
    lines += ["", "## Activations"]
    lines += support_table(sorted(functions), ACTIVATIONS, fdl.nn, ACTS)
    for title, module, known, ours in (
        ("Initializers", keras.initializers, INITIALIZERS, fdl.nn.initializers),
        ("Regularizers", keras.regularizers, REGULARIZERS, fdl.learners),
        ("Constraints", keras.constraints, CONSTRAINTS, constraints),
    ):
        lines += ["", f"## {title}", *support_table(classes(module), known, ours)]
    for title, module, ours in (
        ("Losses", keras.losses, fdl.losses),
        ("Metrics", keras.metrics, fdl.metrics),
        ("Optimizers", keras.optimizers, fdl.keras),
        ("Schedules", keras.optimizers.schedules, schedules),
    ):
        lines += ["", f"## {title}", *name_table(classes(module), ours)]
    known = ", ".join(
        f"`{name.removeprefix('ops.')}`" for name in LAYERS if name.startswith("ops.")
    )
    lines += ["", "## Functions of `keras.ops`", "", f"By class: {known}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    PAGE.write_text(page())
