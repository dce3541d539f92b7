"""Hostile weight files are refused in one sentence, before memory is allocated."""

import json
import os
import signal
import struct
import threading
import time
import zipfile

import flax.linen as nn
import h5py
import jax
import numpy as np
import pytest
from bombs import zipped

from bounds import refused
from fdl import models
from fdl.keras import WeightsError, hdf5, load_weights, save_weights
from fdl.learner import State
from fdl.runs import load_weights as load_run_weights

MODEL = models.MLP(3, hidden_sizes=(4,))
INPUT = np.zeros((1, 3, 3, 1), np.float32)


@pytest.fixture
def h5(tmp_path):
    path = tmp_path / "x.weights.h5"
    variables = MODEL.init(jax.random.key(0), INPUT)
    save_weights(path, MODEL, variables, INPUT)
    return path


def end_the_heap_early(path) -> None:
    """Change a byte, so that HDF5's global heap continues with objects of size 0."""
    content = bytearray(path.read_bytes())
    place = content.index(b"GCOL") + 16
    while content[place : place + 2] != b"\0\0":
        size = int.from_bytes(content[place + 8 : place + 16], "little")
        place += 16 + -(-size // 8) * 8
    content[place + 9] -= 2
    path.write_bytes(content)


def declare_a_huge_name(path) -> None:
    content = path.read_bytes()
    heap = content.index(b"GCOL")
    size, text = (struct.pack("<IQI", n, heap, 2) for n in (4, 2_000_000_000))
    assert size in content
    path.write_bytes(content.replace(size, text))


def link_in_a_cycle(path) -> None:
    with h5py.File(path, "r+") as file:
        for number in range(6):
            file[f"layers/again{number}"] = file["layers"]


def use_a_long_name(path) -> None:
    with h5py.File(path, "r+") as file:
        file.move("layers/dense", "layers/" + "d" * 240_000)


def use_a_long_attribute(path) -> None:
    with h5py.File(path, "r+") as file:
        file["layers/dense/vars"].attrs["name"] = "d" * 240_000


def end_the_heap_when_busy(path) -> None:
    end_the_heap_early(path)
    hdf5._PATIENCE = 0.5


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (end_the_heap_early, "took more than 1 s of processor time"),
        (end_the_heap_when_busy, r"took more than 0\.5 s \(if this machine is busy"),
        (declare_a_huge_name, "cannot be read as HDF5: .*memory"),
        (link_in_a_cycle, "has '/layers/again0' in more than one place"),
        (use_a_long_name, "has a name of 240,000 characters"),
        (use_a_long_attribute, "has a name of 240,000 characters for '/layers/dense'"),
    ],
)
def test_hdf5_files_are_refused(h5, spoil, words, monkeypatch) -> None:
    monkeypatch.setattr(hdf5, "_SECONDS", 1)
    monkeypatch.setattr(hdf5, "_PATIENCE", hdf5._PATIENCE)  # restored afterwards
    spoil(h5)
    with refused(WeightsError, words):
        load_weights(h5, MODEL, INPUT)


def test_hdf5_can_be_interrupted(h5) -> None:
    end_the_heap_early(h5)
    # Parallel test processes ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    started = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            load_weights(h5, MODEL, INPUT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - started < 4


def test_keras_archives_do_not_set_their_own_limits(tmp_path) -> None:
    path = tmp_path / "x.keras"
    shape = {"name": "i", "batch_shape": [None, 1 << 25], "dtype": "float32"}
    layers = [{"class_name": "InputLayer", "config": shape}]
    path.write_bytes(zipped(b"model.weights.h5", 3000))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
    with refused(WeightsError, "a model.weights.h5 of 3,145,728,000 bytes; the limit"):
        load_weights(path, MODEL)


def safetensors(path, declared: dict, size: int) -> None:
    head = json.dumps(declared).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + size)  # sparse


def test_safetensors_files_are_refused(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    variables = nn.Dense(2).init(jax.random.key(0), np.zeros((1, 3)))
    state = State(np.int32(0), variables["params"], jax.random.key(0))
    size = 4 * 3_000_000_000
    large = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    safetensors(path, {"a": large}, size)
    with refused(WeightsError, r"contains a, which the model does not have"):
        load_run_weights(path, state)
    safetensors(path, {"params/kernel": large}, size)
    with refused(WeightsError, r"lacks params/bias, float32\[2\]"):
        load_run_weights(path, state)
    path.write_bytes((80 << 20).to_bytes(8, "little") + b" " * 1000)
    with refused(WeightsError, "list of arrays has 83,886,080 bytes, more than"):
        load_run_weights(path, state)
