"""Learners that train on randomly changed examples."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import fdl
from fdl.data import augment
from fdl.learners.augmented import augmented

BATCH = fdl.Batch(
    np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8),
    np.arange(12, dtype=np.int32) % 3,
)


class DropoutClassifier(linen.Module):
    """A classifier with dropout."""

    @linen.compact
    def __call__(self, image, *, train=False):
        x = image.reshape(*image.shape[:-3], -1)
        x = linen.Dropout(0.5, deterministic=not train)(x)
        return linen.Dense(3)(x)


@functools.cache  # each new learner compiles a new program
def make(rate=0.1):
    return fdl.learners.supervised(
        DropoutClassifier(), fdl.losses.cross_entropy, optax.sgd(rate)
    )


def recording(seen):
    """Return a learner whose step only records its batches in a list."""

    def step(state, batch):
        seen.append(jax.device_get(batch))
        return state._replace(step=state.step + 1), {}

    return make()._replace(step=step)


def init(learner, seed=0):
    return jax.jit(learner.init)(jax.random.key(seed), BATCH)


def equal(a, b):
    raw = lambda x: (
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    )
    same = jax.tree.map(lambda x, y: bool((raw(x) == raw(y)).all()), a, b)
    return all(jax.tree.leaves(same))


def stepped(learner, state, batch=BATCH):
    return jax.jit(learner.step)(state, batch)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"change": lambda key, image: image},
        {"batch_change": lambda key, batch: batch},
    ],
)
def test_without_a_change_a_step_is_unchanged(options) -> None:
    plain, same = make(), augmented(make(), **options)
    state = init(plain)
    for _ in range(3):
        found, expected = stepped(same, state), stepped(plain, state)
        assert equal(found, expected)
        state, _ = expected


def test_only_training_steps_are_augmented() -> None:
    plain = make()
    learner = augmented(plain, augment.noise(1.0))
    assert learner._replace(step=plain.step) == plain
    state = init(learner)
    assert not equal(stepped(learner, state), stepped(plain, state))


def test_draws_depend_on_key_step_and_position() -> None:
    seen = []
    learner = augmented(recording(seen), augment.noise(1.0))
    same = fdl.Batch(np.full((12, 8, 8, 1), 0.5, np.float32), BATCH.label)
    state = init(learner)
    for start in (state, state, state._replace(step=jnp.int32(1)), init(learner, 1)):
        learner.step(start, same)
    first, again, later, other = (batch.image for batch in seen)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(seen[0].label, BATCH.label)
    images = {image.tobytes() for part in (first, later, other) for image in part}
    assert len(images) == 36


def test_draws_are_independent_of_the_learners_own() -> None:
    keys = []

    def record(key, batch):
        keys.append(jax.random.key_data(key).tolist())
        return batch

    def change(key, image):
        jax.debug.callback(lambda k: keys.append(k.tolist()), jax.random.key_data(key))
        return image

    learner = augmented(make(), change, batch_change=record)
    state = init(learner)
    learner.step(state, BATCH)
    jax.effects_barrier()
    own = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))(state.key, np.arange(100))
    keys += jax.random.key_data(state.key)[None].tolist()
    keys += jax.random.key_data(own).tolist()
    assert len({tuple(key) for key in keys}) == len(keys) == 114


def test_the_batch_is_changed_after_its_examples() -> None:
    seen = []
    black = lambda key, image: image * 0
    white = lambda key, batch: batch._replace(image=batch.image + 7)
    learner = augmented(recording(seen), black, batch_change=white)
    learner.step(init(learner), BATCH)
    assert (seen[0].image == 7).all()


INPUTS = np.ones((4, 2), np.float32)


@pytest.mark.parametrize(
    ("batch", "inputs_of"),
    [
        ((INPUTS,), lambda batch: batch[0]),
        ((INPUTS, INPUTS, INPUTS), lambda batch: batch[0]),
        ({"targets": INPUTS, "inputs": INPUTS}, lambda batch: batch["inputs"]),
        (fdl.Tokens(INPUTS, INPUTS), lambda batch: batch.token),
        (INPUTS, lambda batch: batch),
    ],
)
def test_only_the_inputs_of_a_batch_are_changed(batch, inputs_of) -> None:
    seen = []
    learner = augmented(recording(seen), lambda key, x: x * 0)
    learner.step(init(learner), batch)
    assert type(seen[0]) is type(batch)
    assert (inputs_of(seen[0]) == 0).all()
    total = sum(leaf.sum() for leaf in jax.tree.leaves(seen[0]))
    assert total == 8 * (len(jax.tree.leaves(batch)) - 1)


def test_structured_inputs_are_changed_together() -> None:
    seen = []
    swap = lambda key, x: {"a": x["b"], "b": x["a"]}
    learner = augmented(recording(seen), swap)
    learner.step(init(learner), ({"a": INPUTS, "b": 2 * INPUTS}, INPUTS))
    assert (seen[0][0]["a"] == 2).all()


@pytest.mark.parametrize("batch", [{"image": INPUTS}, [INPUTS, INPUTS], ()])
def test_a_batch_without_inputs_is_refused(batch) -> None:
    learner = augmented(make(), augment.flip())
    with pytest.raises(fdl.data.DataError, match=f"of type {type(batch).__name__}"):
        learner.step(init(learner), batch)


def test_an_augmented_learner_can_be_tuned() -> None:
    def tunable(hparams):
        return make(hparams["rate"])._replace(tune=tunable)

    noise, mix = augment.noise(1.0), lambda key, batch: batch
    learner = augmented(tunable({"rate": 0.1}), noise, batch_change=mix)
    tuned = learner.tune({"rate": 0.5})
    state = init(learner)
    expected = augmented(make(0.5), noise, batch_change=mix)
    assert equal(stepped(tuned, state), stepped(expected, state))
    assert not equal(stepped(tuned, state), stepped(learner, state))
    assert augmented(make(), noise).tune is None


def test_mixup_trains_a_classifier() -> None:
    loss = lambda logits, targets: optax.softmax_cross_entropy(logits, targets)
    learner = augmented(
        fdl.learners.supervised(
            fdl.models.MLP(3, hidden_sizes=(16,)), loss, optax.adam(1e-2), metrics={}
        ),
        augment.shift(1),
        batch_change=augment.mixup(0.2, num_classes=3),
    )
    state = init(learner)
    step = jax.jit(learner.step)
    losses = []
    for _ in range(60):
        state, measured = step(state, BATCH)
        losses.append(float(measured["loss"].total / measured["loss"].weight))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_fit_is_reproducible() -> None:
    learner = augmented(make(), augment.shift(1))
    run = functools.partial(
        fdl.fit, learner, BATCH, epochs=2, batch_size=4, key=jax.random.key(0)
    )
    assert equal(run().state.params, run().state.params)
