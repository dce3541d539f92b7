"""Work that training does once: tracing a program, and computing a gradient norm."""

from collections import deque

import jax
import numpy as np
import optax

import fdl


def test_training_traces_the_model_once_per_program():
    traces = deque()  # a list is compared by its contents: it would change the model

    class Traced(fdl.models.MLP):
        def __call__(self, image, **options):
            traces.append(image.shape)
            return super().__call__(image, **options)

    data = np.ones((8, 3), np.float32), np.arange(8)
    model = Traced(8, hidden_sizes=(4,))
    learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.sgd(0.1))
    fdl.fit(learner, data, epochs=2, batch_size=8, key=0, validation_data=data)
    initialized, checked, *trained_and_evaluated = traces
    assert (initialized, checked) == ((1, 3), (2, 3))
    assert trained_and_evaluated == [(8, 3)] * 2


def test_the_global_gradient_norm_is_computed_once():
    params = [np.ones(2, np.float32)] * 20
    optimizer = fdl.keras.sgd(0.1, global_clipnorm=1.0)
    update = jax.make_jaxpr(optimizer.update)
    found = update(params, optimizer.init(params), params)
    assert str(found).count("reduce_sum") == len(params)
