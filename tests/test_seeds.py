"""A seed is accepted wherever a key is, and means what `--seed` means."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.arrays import as_key, as_keys
from fdl.data import augment

DATA = fdl.Batch(np.eye(10, dtype=np.float32).reshape(10, 5, 2, 1), np.arange(10))
KEY = jax.random.key(3)
OLD = jax.random.PRNGKey(3)


def learner(hparams=None):
    model = fdl.models.MLP(10, hidden_sizes=())
    return fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.sgd(0.1))


def one_learner(key):
    return learner().init(key, DATA).params


def many_learners(keys):
    return fdl.many(learner(), 3).init(keys, DATA).params


def fit(key):
    made = fdl.fit(learner(), DATA, epochs=1, batch_size=5, key=key, shuffle_key=key)
    return made.state.params


def fit_many(keys):
    made = fdl.fit_many(
        learner, {}, DATA, epochs=1, batch_size=5, keys=keys, shuffle_key=3
    )
    return made.state.params


def gan(key):
    learner = fdl.learners.adversarial(
        fdl.models.DenseGenerator((5, 2, 1)),
        fdl.models.DenseDiscriminator(),
        fdl.losses.ADVERSARIAL["non_saturating"],
        optax.sgd(0.1),
        optax.sgd(0.1),
        latent_size=2,
    )
    return learner.init(key, DATA).params


def text(key):
    decoder = fdl.nn.TransformerDecoder(num_layers=1, num_heads=1)
    model = fdl.models.LanguageModel(9, decoder, features=2, max_length=8)
    prompt = jnp.array([[1, 2]])
    return fdl.models.generate(
        model, model.init(jax.random.key(0), prompt), prompt, 4, key
    )


AUGMENTATIONS = {
    name: lambda key, change=change: change(key, DATA.image[0])
    for name, change in {
        "shift": augment.shift(1),
        "crop": augment.crop(1),
        "flip": augment.flip(),
        "rotate": augment.rotate(10.0),
        "noise": augment.noise(0.1),
        "brightness": augment.brightness(0.1),
        "compose": augment.compose(augment.noise(0.1)),
    }.items()
}
MIXED = {"mixup": lambda key: augment.mixup(1.0, num_classes=10)(key, DATA)}
TAKE_A_KEY = (
    {f.__name__: f for f in (one_learner, fit, gan, text)} | AUGMENTATIONS | MIXED
)


@pytest.mark.parametrize("take", TAKE_A_KEY.values(), ids=TAKE_A_KEY)
def test_a_seed_means_its_key(take) -> None:
    expected = take(KEY)
    for seed in (3, np.int64(3), np.asarray(3), OLD, np.asarray(OLD)):
        jax.tree.map(np.testing.assert_array_equal, take(seed), expected)


@pytest.mark.parametrize("take", [many_learners, fit_many])
def test_a_sequence_of_seeds_means_an_array_of_keys(take) -> None:
    expected = take(jnp.stack([jax.random.key(seed) for seed in (0, 1, 2)]))
    old = jnp.stack([jax.random.PRNGKey(seed) for seed in (0, 1, 2)])
    for seeds in ([0, 1, 2], range(3), np.arange(3), jnp.arange(3), old):
        jax.tree.map(np.testing.assert_array_equal, take(seeds), expected)


def test_the_largest_seed_and_a_traced_seed_are_accepted() -> None:
    largest = 2**32 - 1
    assert as_keys([largest, 0])[0] == jax.random.key(largest) == as_key(largest)
    assert jax.jit(as_key)(3) == KEY


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, "key=-1 must be from 0 to"),
        (2**32, "key=4294967296 must be from 0 to"),
        (1.5, "key=1.5 must be a seed, an integer from 0"),
        (True, "key=True must be a seed"),
        (None, "key=None must be a seed"),
        ([1, 2], r"key has shape \(2,\): pass one key or seed"),
        ([], "key is empty"),
    ],
)
def test_invalid_seeds_are_refused(seed, message) -> None:
    with pytest.raises(ValueError, match=message):
        as_key(seed)


def test_many_members_need_one_key_each() -> None:
    with pytest.raises(ValueError, match=r"keys has the shape \(\): pass a key or"):
        fit_many(3)
    with pytest.raises(ValueError, match="keys is empty"):
        fit_many([])
    with pytest.raises(ValueError, match=r"key has shape \(3,\): pass one"):
        fdl.fit(learner(), DATA, epochs=1, batch_size=5, key=[0, 1, 2])
