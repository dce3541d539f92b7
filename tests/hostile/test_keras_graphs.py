"""Small descriptions of Keras models that take a lot of time or memory."""

import time

import pytest

from bounds import refused
from fdl.keras import WeightsError
from fdl.keras.graph.arrays import slots_of
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.read import read_model

HUGE = (1 << 31) - 1


def tensor(name, node=0):
    history = {"keras_history": [name, node, 0]}
    return {"args": [{"class_name": "__keras_tensor__", "config": history}]}


def entry(*shape, dtype="float32"):
    options = {"name": "x", "batch_shape": [None, *shape], "dtype": dtype}
    return {"class_name": "InputLayer", "config": options, "inbound_nodes": []}


def layer(kind, *nodes, module="keras.layers", **options):
    nodes = [{**node, "kwargs": {}} for node in nodes or (tensor("x"),)]
    config = {"name": "y", **options}
    return {
        "module": module,
        "class_name": kind,
        "config": config,
        "inbound_nodes": nodes,
    }


def functional(*layers, name="model", end=("y", 0, 0)):
    config = {"name": name, "layers": layers, "input_layers": ["x", 0, 0]}
    config = config | {"output_layers": list(end)}
    return {"module": "keras", "class_name": "Functional", "config": config}


def nested(depth):
    """Return nested models, each of which runs the one within it twice."""
    model = functional(entry(3), layer("ReLU"))
    for _ in range(depth):
        inner = {**model, "inbound_nodes": layer("", tensor("x"), tensor("y"))}
        inner["inbound_nodes"] = inner["inbound_nodes"]["inbound_nodes"]
        inner["config"] = {**model["config"], "name": "y"}
        model = functional(entry(3), inner, end=("y", 2, 0))
    return model


def read(config) -> list:
    return slots_of(KerasModel(read_model(config)))


DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}


@pytest.mark.parametrize(
    ("shape", "costly", "words"),
    [
        ((8, 2), layer("AdaptiveMaxPooling1D", output_size=HUGE), "output_size=2147"),
        (
            (8, 2),
            layer("AveragePooling1D", pool_size=HUGE, padding="same"),
            "at least 1 and at most 4,096",
        ),
        (
            (8, 2),
            layer("SpectralNormalization", layer=DENSE, power_iterations=HUGE),
            "power_iterations=2147483647",
        ),
        ((8, 8, 3), layer("AugMix", num_chains=HUGE), "num_chains=2147483647"),
        (
            (3,),
            layer("IntegerLookup", vocabulary=[1], num_oov_indices=HUGE),
            "num_oov_indices=2147483647",
        ),
        (
            (8, 2),
            layer("Pad", module="keras.ops", pad_width=HUGE - 1, mode="reflect"),
            "is padded by 2147483646",
        ),
        (
            (8, 1 << 20),
            layer("Unstack", module="keras.ops", axis=2),
            "split into 1,048,576 parts",
        ),
        ((HUGE, 2), layer("ReLU"), "'x' .*makes an array of shape"),
        ((9,), layer("RepeatVector", n=1 << 30), "'y' .*makes an array of shape"),
    ],
)
def test_costly_layers_are_refused(shape, costly, words) -> None:
    with refused(WeightsError, words):
        read(functional(entry(*shape), costly))


def test_models_that_run_each_other_too_often_are_refused() -> None:
    with refused(WeightsError, "runs 3,145,727 layers, more than 10,000"):
        read(nested(20))
    assert read(nested(3)) == []


def test_long_frames_are_not_computed_when_a_file_is_read() -> None:
    frames = layer("STFTSpectrogram", frame_length=1 << 16, expand_dims=False)
    (real, imaginary) = read(functional(entry(1 << 20, 1), frames))
    assert real.shape == imaginary.shape == (1 << 16, 1, (1 << 15) + 1)


def test_layers_are_read_quickly_in_any_order() -> None:
    """Even with the last layer first."""
    count = 5000
    layers = [layer("ReLU", tensor(f"y{k}" if k else "x")) for k in range(count)]
    for number, one in enumerate(layers, start=1):
        one["config"] = {"name": f"y{number}"}
    started = time.process_time()
    read_model(functional(*layers[::-1], entry(3), end=(f"y{count}", 0, 0)))
    assert time.process_time() - started < 5  # a quadratic search takes 90
