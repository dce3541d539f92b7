"""Programs that later processes find in the cache, and programs compiled quickly."""

import contextlib
import logging
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.read import read_model
from fdl.programs import program

SCRIPT = """
import collections, jax, numpy as np, optax, fdl
from fdl.runs import keep_compiled
keep_compiled()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
events = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: events.update([event]))
jax.config.update("jax_disable_most_optimizations", True)  # faster to compile
model = fdl.models.MLP(3, hidden_sizes=(4,))
learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.adam(1e-3))
data = fdl.Batch(np.ones((8, 2, 2, 1), np.float32), np.arange(8) % 3)
fdl.fit(learner, data, epochs=1, batch_size=4, key=0, validation_data=data)
names = ("compile_requests_use_cache", "cache_hits")
print(*(events[f"/jax/compilation_cache/{name}"] for name in names))
"""


def _trained(folder):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder)},
    )
    return map(int, done.stdout.split())


def test_a_second_process_compiles_nothing(tmp_path):
    requests, hits = _trained(tmp_path)
    assert requests > 3
    assert hits < requests
    again, hits = _trained(tmp_path)
    assert hits == again == requests


def _draws(key):
    keys = jax.random.split(key, 3)
    low = -0.1 + 0.3 * jax.random.uniform(keys[0], (7, 5))
    return low, 0.05 * jax.random.normal(keys[1], (65,)), jnp.tanh(low @ low.T)


@pytest.mark.optimized
def test_quick_compilation_gives_the_same_results():
    key = jax.random.key(0)
    usual, quick = (program(_draws, once=once) for once in (False, True))
    assert usual is not quick
    for a, b in zip(usual(key), quick(key), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.optimized
def test_a_quickly_compiled_program_can_be_part_of_another():
    whole = lambda key: program(_draws, once=True)(key)
    key = jax.random.key(1)
    for a, b in zip(jax.jit(whole)(key), whole(key), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_imported_model_is_initialized_in_one_program():
    entry = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3]}}
    dense = {"class_name": "Dense", "config": {"name": "head", "units": 2}}
    norm = {"class_name": "BatchNormalization", "config": {"name": "norm"}}
    config = {"name": "net", "layers": [entry, dense, norm]}
    model = KerasModel(read_model({"class_name": "Sequential", "config": config}))
    key, x = jax.random.key(0), jnp.ones((5, 3))
    compiled = []
    with jax.log_compiles(), _logged(compiled):
        found = model.init(key, x, train=False)
    assert len([line for line in compiled if "XLA compilation" in line]) == 1
    expected = linen.Module.init(model, key, x)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_array_equal(a, b)
    shapes = jax.eval_shape(model.init, key, x)
    assert shapes["params"]["head"]["kernel"].shape == (3, 2)


@contextlib.contextmanager
def _logged(lines):
    """Collect the messages that JAX logs."""
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("jax")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
