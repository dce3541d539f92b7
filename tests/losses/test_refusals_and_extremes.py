"""Inputs that losses accept and refuse, and their behavior at extreme values."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses

VALUE_LOSSES = [
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "poisson",
    "hinge",
    "squared_hinge",
    "binary_crossentropy",
    "binary_focal_crossentropy",
]
VECTOR_LOSSES = [
    "cosine_similarity",
    "kl_divergence",
    "categorical_hinge",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
]
CLASS_LOSSES = ["cross_entropy", "sparse_categorical_crossentropy"]


def uniform(seed, *shape):
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", VALUE_LOSSES)
def test_one_value_per_example_gives_one_loss_per_example(name) -> None:
    loss = getattr(losses, name)
    found, columns, alone = jax.jit(
        lambda y, t: (loss(y, t), loss(y[:, None], t[:, None]), jax.vmap(loss)(y, t))
    )(uniform(0, 6), uniform(1, 6))
    np.testing.assert_allclose(found, columns, rtol=1e-6)
    np.testing.assert_allclose(found, alone, rtol=1e-6)


@pytest.mark.parametrize("name", VALUE_LOSSES + VECTOR_LOSSES)
@pytest.mark.parametrize(
    ("outputs", "targets", "remedy"),
    [
        ((8,), (8, 1), r"targets\[:, 0\]"),
        ((8, 1), (8,), r"targets\[:, None\]"),
        ((2, 8), (2, 8, 1), r"targets\[:, :, 0\]"),
        ((8, 3), (3, 8), "misplaced axis"),
        ((8, 3), (8, 1), "misplaced axis"),
        ((8, 3), (3,), "misplaced axis"),
    ],
)
def test_mismatched_shapes_are_refused(name, outputs, targets, remedy) -> None:
    with pytest.raises(ValueError, match=remedy) as caught:
        getattr(losses, name)(jnp.zeros(outputs), jnp.zeros(targets))
    assert str(outputs) in str(caught.value)
    assert str(targets) in str(caught.value)


@pytest.mark.parametrize("name", VECTOR_LOSSES)
def test_integer_classes_are_refused_with_a_remedy(name) -> None:
    with pytest.raises(ValueError, match=r"jax.nn.one_hot\(targets, 3\)"):
        getattr(losses, name)(jnp.zeros((8, 3)), jnp.zeros(8, int))


@pytest.mark.parametrize("name", CLASS_LOSSES)
@pytest.mark.parametrize(
    ("label", "remedy"),
    [
        (np.zeros((8, 1), int), r"\[..., 0\]"),
        (np.zeros((8, 3), int), r"argmax\(-1\)"),
        (np.zeros(8, np.float32), r"float32.*astype\(int\)"),
        (np.zeros(8, bool), r"bool.*astype\(int\)"),
        (np.zeros(7, int), r"\(7,\).*\(8, 3\)"),
        (np.zeros((), int), r"\(\).*\(8, 3\)"),
    ],
)
def test_labels_are_refused_with_a_remedy(name, label, remedy) -> None:
    with pytest.raises(ValueError, match=remedy):
        getattr(losses, name)(jnp.zeros((8, 3)), label)


def test_one_hot_vectors_are_not_integer_labels() -> None:
    with pytest.raises(ValueError, match=r"targets.argmax\(-1\)"):
        losses.sparse_categorical_crossentropy(jnp.zeros((8, 3)), jnp.zeros((8, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: losses.cross_entropy(x, x, label_smoothing=1.5), "label_smoothing"),
        (lambda x: losses.categorical_crossentropy(x, x, label_smoothing=-0.1), "-0.1"),
        (lambda x: losses.binary_crossentropy(x, x, label_smoothing=2.0), "2.0"),
        (lambda x: losses.huber(x, x, delta=-1.0), "delta=-1.0"),
        (lambda x: losses.binary_focal_crossentropy(x, x, gamma=-1.0), "gamma=-1.0"),
        (lambda x: losses.binary_focal_crossentropy(x, x, alpha=1.5), "alpha=1.5"),
        (
            lambda x: losses.categorical_focal_crossentropy(x, x, alpha=jnp.ones(2)),
            r"alpha.*\(2,\).*3 classes",
        ),
        (lambda x: losses.dice(x, x[:2]), r"\(4, 3\).*\(2, 3\)"),
        (lambda x: losses.tversky(x, x, alpha=-1.0), "alpha=-1.0"),
        (lambda x: losses.circle(x, x), "integers"),
        (lambda x: losses.circle(x, jnp.zeros(4, int), gamma=0.0), "gamma=0.0"),
        (
            lambda x: losses.circle(x, jnp.zeros(4, int), ref_embeddings=x),
            "passed together",
        ),
        (
            lambda x: losses.categorical_generalized_cross_entropy(
                x, jnp.zeros(4, int), q=0.0
            ),
            "q=0.0",
        ),
        (lambda x: losses.ctc(x[None], jnp.zeros((2, 4), int)), r"\(1, 4, 3\)"),
        (lambda x: losses.ctc(x[None], jnp.zeros((1, 4))), "integers"),
        (
            lambda x: losses.ctc(
                x[None], jnp.zeros((1, 4), int), lengths=jnp.ones(2, int)
            ),
            r"lengths \(2,\)",
        ),
    ],
)
def test_bad_options_are_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(jnp.zeros((4, 3)))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("cross_entropy", "label_smoothing", 0.1),
        ("categorical_crossentropy", "label_smoothing", 0.1),
        ("binary_crossentropy", "label_smoothing", 0.1),
        ("binary_focal_crossentropy", "gamma", 1.5),
        ("binary_focal_crossentropy", "label_smoothing", 0.1),
        ("categorical_focal_crossentropy", "alpha", 0.3),
        ("categorical_focal_crossentropy", "label_smoothing", 0.1),
        ("huber", "delta", 0.1),
    ],
)
def test_options_may_be_traced(name, option, value) -> None:
    loss = getattr(losses, name)
    x, y = 4 * uniform(0, 5, 3), uniform(1, 5, 3)
    traced, wanted, without = jax.jit(
        lambda x, y, given: (
            loss(x, y, **{option: given}),
            loss(x, y, **{option: value}),
            loss(x, y),
        )
    )(x, y, np.float32(value))
    np.testing.assert_allclose(traced, wanted, rtol=1e-6)
    assert not np.allclose(wanted, without)


def test_circle_loss_of_the_only_example_of_a_class_is_zero() -> None:
    x, label = np.eye(3, dtype=np.float32), np.array([0, 0, 1])
    loss = lambda x: (losses.circle(x, label),) * 2
    found, gradient = jax.device_get(jax.jit(jax.jacrev(loss, has_aux=True))(x))
    assert gradient[2] == 0
    assert jnp.isfinite(found).all()
    assert not found[2].any()
    assert found[0].any()


def test_circle_loss_compares_embeddings_with_the_references() -> None:
    x, label = uniform(0, 4, 3), np.array([0, 1, 0, 1])
    circle = jax.jit(losses.circle)
    of_itself = circle(x, label)
    given = circle(x, label, ref_labels=label[:3], ref_embeddings=x[:3])
    assert not np.allclose(of_itself, given)
    given = circle(x, label, ref_labels=label, ref_embeddings=x)
    np.testing.assert_array_equal(of_itself, given)


def test_a_class_of_probability_zero_has_a_finite_gradient() -> None:
    loss = losses.categorical_generalized_cross_entropy
    p, label = jnp.array([[0.0, 1.0], [0.5, 0.5]]), jnp.array([0, 7])
    found, pull = jax.vjp(lambda p: loss(p, label), p)
    np.testing.assert_array_equal(found, [2.0, np.nan])
    assert jnp.isfinite(pull(jnp.array([1.0, 0.0]))[0]).all()


def test_probabilities_and_integer_labels_give_the_same_loss() -> None:
    logits, label = 5 * uniform(0, 2, 6, 4), np.arange(12).reshape(2, 6) % 4
    hot, loss = np.eye(4, dtype=np.float32)[label], jax.jit(losses.cross_entropy)
    one = loss(logits, label, label_smoothing=0.2)
    other = loss(logits, hot, label_smoothing=0.2)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    mixed = loss(logits, 0.25 * hot + 0.75 * hot[::-1])
    parts = [np.array(loss(logits, label[::step])) for step in (1, -1)]
    np.testing.assert_allclose(mixed, 0.25 * parts[0] + 0.75 * parts[1], rtol=1e-5)


def test_a_logit_of_minus_infinity_outside_the_targets_costs_nothing() -> None:
    logits = np.float32([[0.0, -np.inf, 0.0]])
    loss = lambda x: losses.cross_entropy(x, jnp.array([[0.5, 0.0, 0.5]])).sum()
    found, gradient = jax.jit(jax.value_and_grad(loss))(logits)
    np.testing.assert_allclose(found, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, 100])
def test_sparse_labels_out_of_range_give_nan(label) -> None:
    loss = losses.sparse_categorical_crossentropy
    assert np.isnan(loss(jnp.zeros((1, 3)), jnp.array([label]))).all()


def test_an_ignored_class_has_no_gradient_even_for_nan_logits() -> None:
    logits = np.float32([[0.0, 1.0], [np.nan, 0.0]])
    loss = functools.partial(losses.sparse_categorical_crossentropy, ignore_class=-100)
    total = lambda x: loss(x, jnp.array([1, -100])).sum()
    found, gradient = jax.jit(jax.value_and_grad(total))(logits)
    assert np.isfinite(found)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], [0, 0])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_losses_are_finite_for_large_logits(gamma) -> None:
    logits = np.float32([-1000.0, -30.0, 0.0, 30.0, 1000.0] * 2)
    targets = np.repeat([0, 1], 5)
    loss = functools.partial(losses.binary_focal_crossentropy, gamma=gamma)
    found, pull = jax.vjp(jax.jit(lambda x: loss(x, targets)), logits)
    assert np.isfinite(found).all()
    assert np.isfinite(pull(np.ones_like(found))[0]).all()


def test_a_perfect_output_has_no_gradient() -> None:
    for name in VALUE_LOSSES[:6]:
        loss = getattr(losses, name)
        total = lambda x, loss=loss: loss(x, jnp.ones(3)).sum()
        gradient = jax.jit(jax.grad(total))(np.ones(3, np.float32))
        np.testing.assert_array_equal(gradient, [0, 0, 0], err_msg=name)


def test_cosine_similarity_of_a_zero_vector_is_zero_with_a_finite_gradient() -> None:
    loss = lambda x: losses.cosine_similarity(x, jnp.ones((1, 3))).sum()
    found, gradient = jax.jit(jax.value_and_grad(loss))(np.zeros((1, 3), np.float32))
    assert found == 0
    assert np.isfinite(gradient).all()


def test_hinge_of_an_example_does_not_depend_on_the_others() -> None:
    outputs, targets = jnp.array([0.5, 0.5, 0.5]), jnp.array([0, 1, -1])
    found = losses.hinge(outputs, targets)
    np.testing.assert_allclose(found, [1.5, 0.5, 1.5])


def labels_of(path) -> tuple[int, ...]:
    """Collapse the repetitions in a CTC path and drop its blanks."""
    return tuple(c for c, _ in itertools.groupby(path) if c != 0)


def test_ctc_sums_over_all_alignments() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 2, 5, 3)).astype(np.float32)
    targets = np.array([[[1, 2, 0], [1, 1, 0]], [[2, 0, 0], [0, 0, 0]]])
    steps = np.array([[5, 4], [3, 5]])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = jax.jit(losses.ctc)(logits, targets, lengths=steps)
    assert found.shape == (2, 2)
    for row in np.ndindex(2, 2):
        word = tuple(c for c in targets[row] if c)
        paths = itertools.product(range(3), repeat=int(steps[row]))
        chance = sum(
            np.prod([p[(*row, t, c)] for t, c in enumerate(path)])
            for path in paths
            if labels_of(path) == word
        )
        np.testing.assert_allclose(found[row], -np.log(chance), rtol=1e-5)


def test_ctc_is_finite_for_large_logits_and_targets_that_are_too_long() -> None:
    logits = np.zeros((2, 3, 3), np.float32)
    logits[0, :, 1] = 1000.0
    targets = np.array([[2, 0, 0, 0], [1, 2, 1, 2]])
    found, pull = jax.vjp(jax.jit(lambda x: losses.ctc(x, targets)), logits)
    assert np.isfinite(found).all()
    assert np.isfinite(pull(np.ones_like(found))[0]).all()
    assert found[1] > 9e4
