"""The ladder: levels at which a function in fdl is compared with its twin in Keras.

Both sides get the same random, distinct weights. The levels compare

    0  parameters: number and shapes, layer by layer
    1  outputs
    2  outputs in training mode, batch statistics, gradients of inputs and parameters
    3  parameters, batch statistics and optimizer state after each of 5 steps of SGD,
       momentum, RMSprop, Adam and AdamW
    4  the loss at each of the first 20 steps of an epoch of real data with Adam, from
       weights as initialized for training, with as many examples of each batch as the
       other levels have, so that the same programs compute it; with `large`, of the
       whole epoch in double precision. In single precision no more can be compared:
       rounding decides between pixels that are nearly equal, and training amplifies
       the difference, so that Keras differs as much from Keras compiled by XLA: see
       bench/loss_curve.py

by `||ours - theirs|| / ||theirs||` for each array, and every array counts. Keras runs
on TensorFlow. In double precision, rounding cannot hide a wrong formula.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fdl import keras as fk
from lazily import keras
from parity.rungs import Rung
from parity.sides import Ours, Subject, Theirs, both, cast

# Keras on TensorFlow rounds options to float32 even when it computes in float64, so
# these numbers are exact in float32, or are Keras' defaults rounded to float32.
_RATE, _EPSILON = 2**-10, 2**-23
_ADAM = {"beta_1": 1 - 2**-3, "beta_2": 1 - 2**-8, "epsilon": _EPSILON}
_DEFAULTS = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_DEFAULTS = {name: float(np.float32(value)) for name, value in _DEFAULTS.items()}
STEPS = 20  # of an epoch
OPTIMIZERS: dict[str, tuple[str, str, dict[str, float]]] = {
    "SGD": ("sgd", "SGD", {}),
    "momentum": ("sgd", "SGD", {"momentum": 0.875}),
    "RMSprop": ("rmsprop", "RMSprop", {"rho": 0.875, "epsilon": _EPSILON}),
    "Adam": ("adam", "Adam", _ADAM),
    "AdamW": ("adamw", "AdamW", {**_ADAM, "weight_decay": 2**-8}),
}


def levels(subject: Subject) -> list[int]:
    """Return the levels of a subject; without weights, only 1 and 2."""
    if subject.levels is not None:
        return list(subject.levels)
    if not size(subject):
        return [1, 2]
    return [0, 1, 2, 3] if subject.epoch is None else [0, 1, 2, 3, 4]


def size(subject: Subject) -> int:
    """Return the number of parameters of a subject."""
    start = lambda: subject.model.init(jax.random.key(0), *subject.inputs)
    params = jax.eval_shape(start).get("params", {})
    return sum(x.size for x in jax.tree.leaves(params))


def climb(
    subject: Subject,
    precision: str,
    at: Sequence[int] | None = None,
    *,
    large: bool = False,
) -> list[Rung]:
    """Measure a subject in a precision, at the levels `at` or at all of its levels.

    Both sides are built once. If `large`, level 4 is a whole epoch in double precision.
    """
    there = levels(subject)
    at = there if at is None else [n for n in at if n in there]
    if precision == "float32":
        at = [n for n in at if n <= subject.single]
    found: list[dict[str, float]] = []
    try:
        with both(subject, precision) as (ours, theirs, variables, inputs):
            for level in at:
                if level:  # level 0 compares them as they were copied to Keras
                    theirs.set_weights(variables)
                arguments = (subject, ours, theirs, variables, inputs)
                if level < 4:
                    measure = (_parameters, _outputs, _gradients, _steps)[level]
                    found.append(measure(*arguments))
                else:
                    whole = large and precision == "float64"
                    found.append(_curve(*arguments, whole))
    except fk.WeightsError as error:  # the weights of one side do not fit the other
        return [Rung(subject.name, precision, n, float("inf"), str(error)) for n in at]
    return [
        Rung(subject.name, precision, level, *_worst(errors), deep=subject.deep)
        for level, errors in zip(at, found, strict=True)
    ]


def climb_all(draws: Sequence[Subject], *, large: bool = False) -> list[Rung]:
    """Measure all draws of a subject in its precisions; return the worst by level.

    Only the first draw makes optimizer steps: optimizers see arrays, not options.
    """
    rungs: list[Rung] = []
    for precision in draws[0].precisions:
        found = [
            rung._replace(where=f"draw {draw}: {rung.where}" if draw else rung.where)
            for draw, subject in enumerate(draws)
            for rung in climb(
                subject, precision, (0, 1, 2) if draw else None, large=large
            )
        ]
        for level in sorted({rung.level for rung in found}):
            of_level = [rung for rung in found if rung.level == level]
            worst = max(of_level, key=lambda rung: rung.error)
            rungs.append(worst._replace(draws=len(of_level)))
    return rungs


def error(ours: Any, theirs: Any, floor: float = 0.0) -> float:
    """Return `||ours - theirs|| / ||theirs||`; the divisor is at least `floor`."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    distance = float(np.linalg.norm(ours - theirs))
    size = max(float(np.linalg.norm(theirs)), floor)
    return float(distance / size) if distance else 0.0


def _worst(errors: dict[str, float]) -> tuple[float, str]:
    # NaN counts as the worst error, but is never larger in a comparison.
    worst = lambda name: float(np.nan_to_num(errors[name], nan=np.inf))
    where = max(errors, key=worst, default="nothing to compare")
    # A level that compared nothing fails.
    return worst(where) if errors else np.inf, where


def _parameters(
    subject: Subject, ours: Ours, theirs: Theirs, variables: Any, inputs: Any
) -> dict[str, float]:
    count = sum(x.size for x in jax.tree.leaves(variables))
    # Integers are counters of what a layer has adapted to.
    floats = [w for w in theirs.twin.weights if w.dtype.startswith("float")]
    their_count = sum(math.prod(weight.shape) for weight in floats)
    # Copied to Keras and back, not a bit may have changed.
    arrays = _compare(theirs.variables(), variables, "")
    return {**arrays, "number of weights": float(count != their_count)}


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
    # Through many layers, rounding grows with the size of steps.
    rate = _RATE / 64 if subject.deep else _RATE
    for name, (our_name, their_name, options) in OPTIMIZERS.items():
        theirs.set_weights(variables)
        optimizer = getattr(keras.optimizers, their_name)(rate, **options)
        they_step = theirs.trainer(optimizer)
        we_step = ours.trainer(getattr(fk, our_name)(rate, **options))
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
    subject: Subject,
    ours: Ours,
    theirs: Theirs,
    variables: Any,
    inputs: Any,
    whole: bool,
) -> dict[str, float]:
    assert subject.epoch is not None
    (precision,) = {x.dtype.name for x in jax.tree.leaves(variables)}
    start = jax.jit(ours.model.init)(jax.random.key(0), *inputs)
    variables = cast(jax.tree.map(np.asarray, start), precision)
    theirs.set_weights(variables)
    they_step = theirs.trainer(keras.optimizers.Adam(**_DEFAULTS))
    we_step = ours.trainer(fk.adam(**_DEFAULTS))
    errors, state = {}, None
    epoch = subject.epoch()
    if not whole:
        some = lambda batch: jax.tree.map(lambda x: x[: len(inputs[0])], batch)
        epoch = map(some, itertools.islice(epoch, STEPS))
    for step, batch in enumerate(epoch):
        x, target = cast(batch, precision)
        variables, state, loss = we_step(variables, state, x, target)
        their_loss = they_step(_tensors(x), _tensors(target))
        errors[f"loss at step {step}"] = error(loss, their_loss)
    return errors


def _target(subject: Subject, theirs: Theirs, inputs: Any) -> Any:
    """Return random labels, or random outputs, as targets."""
    rng = np.random.default_rng(1)
    if subject.classes is not None:
        shape = (len(inputs[0]), *theirs.twin.output_shape[1:-1])
        return rng.integers(subject.classes, size=shape, dtype=np.int32)
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
    keys or before batch normalization, is only rounding: the divisor is at least a
    thousandth of the norm of all, in single precision a hundredth, since a thousandth
    of it times the tolerance is less than the precision.
    """
    named = lambda tree: {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    ours, theirs = named(ours), named(theirs)
    assert ours.keys() == theirs.keys(), (ours.keys(), theirs.keys())
    single = any(x.dtype == np.float32 for x in theirs.values())
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in theirs.values()))
    floor = (1e-2 if single else 1e-3) * norm
    return {prefix + name: error(ours[name], theirs[name], floor) for name in ours}
