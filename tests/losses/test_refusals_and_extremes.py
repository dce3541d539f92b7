"""What losses take and refuse, and what holds for extreme values."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses

OF_VALUES = [
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
OF_VECTORS = [
    "cosine_similarity",
    "kl_divergence",
    "categorical_hinge",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
]
CLASSES = ["cross_entropy", "sparse_categorical_crossentropy"]


def uniform(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


@pytest.mark.parametrize("name", OF_VALUES)
def test_one_value_an_example_is_one_loss_an_example(name) -> None:
    loss = getattr(losses, name)
    outputs, targets = uniform(0, 6), uniform(1, 6)
    found = loss(outputs, targets)
    np.testing.assert_allclose(
        found, loss(outputs[:, None], targets[:, None]), rtol=1e-6
    )
    alone = jax.vmap(loss)(outputs, targets)
    np.testing.assert_allclose(found, alone, rtol=1e-6)


@pytest.mark.parametrize("name", OF_VALUES + OF_VECTORS)
@pytest.mark.parametrize(
    ("outputs", "targets", "remedy"),
    [
        ((8,), (8, 1), r"targets\[:, 0\]"),
        ((8, 1), (8,), r"targets\[:, None\]"),
        ((2, 8), (2, 8, 1), r"targets\[:, :, 0\]"),
        ((8, 3), (3, 8), "which axis"),
        ((8, 3), (8, 1), "which axis"),
        ((8, 3), (3,), "which axis"),
    ],
)
def test_unlike_shapes_are_refused(name, outputs, targets, remedy) -> None:
    with pytest.raises(ValueError, match=remedy) as caught:
        getattr(losses, name)(jnp.zeros(outputs), jnp.zeros(targets))
    assert str(outputs) in str(caught.value)
    assert str(targets) in str(caught.value)


@pytest.mark.parametrize("name", OF_VECTORS)
def test_integer_classes_are_told_where_they_belong(name) -> None:
    with pytest.raises(ValueError, match=r"jax.nn.one_hot\(targets, 3\)"):
        getattr(losses, name)(jnp.zeros((8, 3)), jnp.zeros(8, int))


@pytest.mark.parametrize("name", CLASSES)
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
            "given together",
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
def test_options_are_refused(call, message) -> None:
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
    traced = jax.jit(lambda option_: loss(x, y, **{option: option_}))
    wanted = loss(x, y, **{option: value})
    np.testing.assert_allclose(traced(jnp.float32(value)), wanted, rtol=1e-6)
    assert not np.allclose(wanted, loss(x, y))


def test_what_has_nothing_to_compare_with_has_no_slope() -> None:
    x, label = jnp.eye(3), jnp.array([0, 0, 1])
    found, slope = jax.jacrev(lambda x: (losses.circle(x, label),) * 2, has_aux=True)(x)
    assert slope[2] == 0
    assert jnp.isfinite(found).all()
    assert not found[2].any()
    assert found[0].any()


def test_references_are_what_embeddings_are_compared_with() -> None:
    x, label = uniform(0, 4, 3), jnp.array([0, 1, 0, 1])
    of_itself = losses.circle(x, label)
    given = losses.circle(x, label, ref_labels=label[:3], ref_embeddings=x[:3])
    assert not np.allclose(of_itself, given)
    given = losses.circle(x, label, ref_labels=label, ref_embeddings=x)
    np.testing.assert_array_equal(of_itself, given)


def test_a_class_without_probability_has_no_infinite_slope() -> None:
    loss = losses.categorical_generalized_cross_entropy
    p, label = jnp.array([[0.0, 1.0], [0.5, 0.5]]), jnp.array([0, 7])
    found, pull = jax.vjp(lambda p: loss(p, label), p)
    np.testing.assert_array_equal(found, [2.0, np.nan])
    assert jnp.isfinite(pull(jnp.array([1.0, 0.0]))[0]).all()


def test_probabilities_and_integers_are_one_loss() -> None:
    logits, label = 5 * uniform(0, 2, 6, 4), jnp.arange(12).reshape(2, 6) % 4
    one = losses.cross_entropy(logits, label, label_smoothing=0.2)
    hot = jax.nn.one_hot(label, 4)
    other = losses.cross_entropy(logits, hot, label_smoothing=0.2)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    mixed = losses.cross_entropy(logits, 0.25 * hot + 0.75 * hot[::-1])
    parts = [losses.cross_entropy(logits, label[::step]) for step in (1, -1)]
    np.testing.assert_allclose(mixed, 0.25 * parts[0] + 0.75 * parts[1], rtol=1e-5)


def test_an_impossible_class_that_is_not_expected_costs_nothing() -> None:
    logits = jnp.array([[0.0, -jnp.inf, 0.0]])
    loss = lambda x: losses.cross_entropy(x, jnp.array([[0.5, 0.0, 0.5]])).sum()
    np.testing.assert_allclose(loss(logits), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loss)(logits), [[0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, 100])
def test_sparse_labels_of_no_class_give_nan(label) -> None:
    loss = losses.sparse_categorical_crossentropy
    assert np.isnan(loss(jnp.zeros((1, 3)), jnp.array([label]))).all()


def test_an_ignored_class_has_no_gradient_even_of_nan() -> None:
    logits = jnp.array([[0.0, 1.0], [jnp.nan, 0.0]])
    loss = functools.partial(losses.sparse_categorical_crossentropy, ignore_class=-100)
    found, slope = jax.value_and_grad(lambda x: loss(x, jnp.array([1, -100])).sum())(
        logits
    )
    assert np.isfinite(found)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[1], [0, 0])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("target", [0, 1])
def test_focal_losses_hold_for_sure_logits(gamma, target) -> None:
    logits = jnp.array([-1000.0, -30.0, 0.0, 30.0, 1000.0])
    loss = functools.partial(losses.binary_focal_crossentropy, gamma=gamma)
    targets = jnp.full(5, target)
    slope = jax.grad(lambda x: loss(x, targets).sum())(logits)
    assert np.isfinite(loss(logits, targets)).all()
    assert np.isfinite(slope).all()


def test_a_perfect_output_has_no_gradient() -> None:
    for name in OF_VALUES[:6]:
        loss = getattr(losses, name)
        slope = jax.grad(lambda x, loss=loss: loss(x, jnp.ones(3)).sum())(jnp.ones(3))
        np.testing.assert_array_equal(slope, [0, 0, 0], err_msg=name)


def test_cosine_similarity_of_nothing_is_zero_with_a_finite_gradient() -> None:
    loss = lambda x: losses.cosine_similarity(x, jnp.ones((1, 3))).sum()
    found, slope = jax.value_and_grad(loss)(jnp.zeros((1, 3)))
    assert found == 0
    assert np.isfinite(slope).all()


def test_hinge_of_an_example_does_not_depend_on_the_others() -> None:
    outputs, targets = jnp.array([0.5, 0.5, 0.5]), jnp.array([0, 1, -1])
    found = losses.hinge(outputs, targets)
    np.testing.assert_allclose(found, [1.5, 0.5, 1.5])


def spelled(path) -> tuple[int, ...]:
    """Return what a path through the classes spells: no repetitions, no blanks."""
    return tuple(c for c, _ in itertools.groupby(path) if c != 0)


def test_ctc_sums_over_all_ways_to_spell() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 2, 5, 3)).astype(np.float32)
    targets = np.array([[[1, 2, 0], [1, 1, 0]], [[2, 0, 0], [0, 0, 0]]])
    steps = np.array([[5, 4], [3, 5]])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = losses.ctc(logits, targets, lengths=steps)
    assert found.shape == (2, 2)
    for row in np.ndindex(2, 2):
        word = tuple(c for c in targets[row] if c)
        ways = itertools.product(range(3), repeat=int(steps[row]))
        chance = sum(
            np.prod([p[(*row, t, c)] for t, c in enumerate(path)])
            for path in ways
            if spelled(path) == word
        )
        np.testing.assert_allclose(found[row], -np.log(chance), rtol=1e-5)


def test_ctc_is_finite_for_sure_logits_and_for_words_that_do_not_fit() -> None:
    logits = jnp.zeros((2, 3, 3)).at[0, :, 1].set(1000.0)
    targets = jnp.array([[2, 0, 0, 0], [1, 2, 1, 2]])
    found, slope = jax.value_and_grad(lambda x: losses.ctc(x, targets).sum())(logits)
    assert np.isfinite(found)
    assert np.isfinite(slope).all()
    assert losses.ctc(logits, targets)[1] > 9e4
