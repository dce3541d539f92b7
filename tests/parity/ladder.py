"""The ladder: how far a function in fdl and its twin in Keras are the same.

Both sides get the same random, distinct weights. Then are compared

    0  parameters: number and shapes, layer by layer
    1  outputs
    2  outputs in training mode, batch statistics, gradients of inputs and parameters
    3  parameters, batch statistics and optimizer state after each of 5 steps of SGD,
       momentum, RMSprop, Adam and AdamW
    4  the loss at every step of an epoch of real digits with Adam, from weights as they
       are drawn for training; in single precision, of the first 20 steps, since later
       Keras differs from Keras compiled by XLA as much: see bench/loss_curve.py

by `||ours - theirs|| / ||theirs||` for each array, and every array counts. Keras runs
on TensorFlow. In double precision no wrong formula can hide behind rounding.
"""

import itertools
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from fdl import keras as fk
from parity.sides import Ours, Subject, Theirs, both, cast

TOLERANCE = {  # by precision, then by level
    "float32": (0.0, 1e-5, 1e-4, 1e-4, 1e-3),
    "float64": (0.0, 1e-10, 1e-9, 1e-8, 1e-6),
}

# Keras on TensorFlow rounds options to float32 even when it computes in float64, so
# these are numbers that float32 holds: exactly, or as it holds Keras' defaults.
_RATE, _EPSILON = 2**-10, 2**-23
_ADAM = {"beta_1": 1 - 2**-3, "beta_2": 1 - 2**-8, "epsilon": _EPSILON}
_DEFAULTS = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_DEFAULTS = {name: float(np.float32(value)) for name, value in _DEFAULTS.items()}
# A difference of rounding decides between pixels that are equally large but for it, and
# training amplifies what comes of that.
STEPS = {"float32": 20, "float64": None}
OPTIMIZERS: dict[str, tuple[str, str, dict[str, float]]] = {
    "SGD": ("sgd", "SGD", {}),
    "momentum": ("sgd", "SGD", {"momentum": 0.875}),
    "RMSprop": ("rmsprop", "RMSprop", {"rho": 0.875, "epsilon": _EPSILON}),
    "Adam": ("adam", "Adam", _ADAM),
    "AdamW": ("adamw", "AdamW", {**_ADAM, "weight_decay": 2**-8}),
}


class Rung(NamedTuple):
    """What was measured of a subject at a level.

    Attributes:
        error: The largest error of all arrays.
        where: The array that has it.
    """

    subject: str
    precision: str
    level: int
    error: float
    where: str

    @property
    def tolerance(self) -> float:
        """The largest error that is let pass."""
        return TOLERANCE[self.precision][self.level]

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return bool(self.error <= self.tolerance)

    def __str__(self) -> str:
        """Say what was measured where."""
        return (
            f"{self.subject}, {self.precision}, level {self.level}: {self.where}: "
            f"error {self.error:.1e}, tolerance {self.tolerance:.0e}"
        )


def levels(subject: Subject) -> list[int]:
    """Return the levels of a subject; what has no weights has none to compare."""
    if not size(subject):
        return [1, 2]
    return [0, 1, 2, 3] if subject.epoch is None else [0, 1, 2, 3, 4]


def size(subject: Subject) -> int:
    """Return the number of parameters of a subject."""
    start = lambda: subject.model.init(jax.random.key(0), *subject.inputs)
    params = jax.eval_shape(start).get("params", {})
    return sum(x.size for x in jax.tree.leaves(params))


def climb(subject: Subject, precision: str, level: int) -> Rung:
    """Measure a subject at a level."""
    try:
        with both(subject, precision) as (ours, theirs, variables, inputs):
            measure = (_parameters, _outputs, _gradients, _steps, _curve)[level]
            errors = measure(subject, ours, theirs, variables, inputs)
    except fk.WeightsError as error:  # the weights of one do not fit the other
        return Rung(subject.name, precision, level, float("inf"), str(error))
    # A NaN must come out on top, and no comparison finds it.
    worst = lambda name: np.nan_to_num(errors[name], nan=np.inf)
    where = max(errors, key=worst, default="nothing to compare")
    # A level that compared nothing has shown nothing.
    return Rung(subject.name, precision, level, errors.get(where, np.inf), where)


def climb_all(subject: Subject) -> list[Rung]:
    """Measure a subject at every level in both precisions."""
    return [
        climb(subject, precision, level)
        for precision in subject.precisions
        for level in levels(subject)
    ]


def summary(rungs: list[Rung]) -> list[list[str]]:
    """Return a table: a row for each subject and precision, a column for each level."""
    table = [["", "precision", *(f"level {level}" for level in range(5))]]
    cells: dict[tuple[str, str], list[str]] = {}
    for rung in rungs:
        row = cells.setdefault((rung.subject, rung.precision), ["-"] * 5)
        row[rung.level] = f"{rung.error:.0e}" + ("" if rung.passed else " FAIL")
    return table + [[*names, *row] for names, row in cells.items()]


def markdown(rungs: list[Rung]) -> str:
    """Return the table as Markdown."""
    head, *rows = summary(rungs)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def error(ours: Any, theirs: Any, floor: float = 0.0) -> float:
    """Return `||ours - theirs|| / ||theirs||`; the divisor is at least `floor`."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    distance = float(np.linalg.norm(ours - theirs))
    size = max(float(np.linalg.norm(theirs)), floor)
    return float(distance / size) if distance else 0.0


def _parameters(
    subject: Subject, ours: Ours, theirs: Theirs, variables: Any, inputs: Any
) -> dict[str, float]:
    count = sum(x.size for x in jax.tree.leaves(variables))
    # They have been there and back: not a bit may have changed.
    arrays = _compare(fk.from_keras(subject.model, theirs.twin), variables, "")
    return {**arrays, "number of weights": float(count != theirs.twin.count_params())}


def _outputs(
    subject: Subject, ours: Ours, theirs: Theirs, variables: Any, inputs: Any
) -> dict[str, float]:
    return _compare_outputs(ours.outputs(variables, inputs), theirs.outputs(inputs))


def _gradients(
    subject: Subject, ours: Ours, theirs: Theirs, variables: Any, inputs: Any
) -> dict[str, float]:
    target = _target(subject, theirs, inputs)
    we = ours.gradients(variables, inputs, target)
    they = theirs.gradients(_tensors(inputs), _tensors(target))
    now = theirs.variables()
    return {
        "loss": error(we.loss, they.loss),
        **_compare_outputs(we.outputs, they.outputs),
        **_compare(we.batch_stats, now.get("batch_stats", {}), "statistics "),
        **_compare(we.params, theirs.arranged(they.params), "gradient of "),
        **_compare(we.inputs, they.inputs, "gradient of input "),
    }


def _steps(
    subject: Subject, ours: Ours, theirs: Theirs, variables: Any, inputs: Any
) -> dict[str, float]:
    errors: dict[str, float] = {}
    target = _target(subject, theirs, inputs)
    for name, (our_name, their_name, options) in OPTIMIZERS.items():
        theirs.set_weights(variables)
        optimizer = getattr(keras.optimizers, their_name)(_RATE, **options)
        they_step = theirs.trainer(optimizer)
        we_step = ours.trainer(getattr(fk, our_name)(_RATE, **options))
        we, state = variables, None
        for step in range(1, 6):
            we, state, _ = we_step(we, state, inputs, target)
            they_step(_tensors(inputs), _tensors(target))
            when = f"{name}, step {step}: "
            they = theirs.variables()
            errors |= _compare(we["params"], they["params"], when)
            statistics = we.get("batch_stats", {}), they.get("batch_stats", {})
            errors |= _compare(*statistics, f"{when}statistics ")
            for slot, values in state.slots.items():
                kept = [v for v in optimizer.variables if v.path.endswith(f"_{slot}")]
                errors |= _compare(values, theirs.arranged(kept), f"{when}{slot} of ")
    return errors


def _curve(
    subject: Subject, ours: Ours, theirs: Theirs, variables: Any, inputs: Any
) -> dict[str, float]:
    assert subject.epoch is not None
    (precision,) = {x.dtype.name for x in jax.tree.leaves(variables)}
    start = jax.jit(ours.model.init)(jax.random.key(0), *inputs)
    variables = cast(jax.tree.map(np.asarray, start), precision)
    theirs.set_weights(variables)
    they_step = theirs.trainer(keras.optimizers.Adam(**_DEFAULTS))
    we_step = ours.trainer(fk.adam(**_DEFAULTS))
    errors, state = {}, None
    epoch = itertools.islice(subject.epoch(), STEPS[precision])
    for step, batch in enumerate(epoch):
        x, target = cast(batch, precision)
        variables, state, loss = we_step(variables, state, x, target)
        their_loss = they_step(_tensors(x), _tensors(target))
        errors[f"loss at step {step}"] = error(loss, their_loss)
    return errors


def _target(subject: Subject, theirs: Theirs, inputs: Any) -> Any:
    """Return labels, or random outputs to come near to."""
    if subject.label is not None:
        return subject.label
    rng = np.random.default_rng(1)
    outputs = theirs.outputs(inputs)
    return [rng.normal(size=y.shape).astype(y.dtype.name) for y in outputs]


def _tensors(tree: Any) -> Any:
    return jax.tree.map(keras.ops.convert_to_tensor, tree)


def _compare_outputs(ours: list[Any], theirs: list[Any]) -> dict[str, float]:
    pairs = list(zip(ours, theirs, strict=True))
    for we, they in pairs:
        assert we.dtype.name == they.dtype.name, (we.dtype, they.dtype)
    names = (
        ["output"] if len(pairs) == 1 else [f"output {i}" for i in range(len(pairs))]
    )
    return {name: error(*pair) for name, pair in zip(names, pairs, strict=True)}


def _compare(ours: Any, theirs: Any, prefix: str) -> dict[str, float]:
    """Compare trees array by array.

    An array that vanishes by symmetry, such as the gradient of the bias of attention's
    keys, is nothing but rounding of the others: it is measured by a thousandth of all.
    """
    named = lambda tree: {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    ours, theirs = named(ours), named(theirs)
    assert ours.keys() == theirs.keys(), (ours.keys(), theirs.keys())
    floor = 1e-3 * np.sqrt(sum(np.sum(np.square(x)) for x in theirs.values()))
    return {prefix + name: error(ours[name], theirs[name], floor) for name in ours}
