"""Files to spoil, HDF5 read without a process, and the precision of Keras."""

import pytest
from draws import SMALL, SMALL_INPUT, SMALL_VARIABLES

from fdl.keras import hdf5, hdf5_contents, save_weights
from lazily import keras


@pytest.fixture(autouse=True)
def _read_here(monkeypatch, request):
    """Read HDF5 files in this process: another for each would take a minute."""
    if "in_a_process" not in request.fixturenames:
        tell = lambda file, where: hdf5_contents.tell(file)
        monkeypatch.setattr(hdf5, "_ask", tell)


@pytest.fixture
def in_a_process():
    """Read HDF5 files as users do."""


@pytest.fixture
def h5(tmp_path):
    path = tmp_path / "x.weights.h5"
    save_weights(path, SMALL, SMALL_VARIABLES, SMALL_INPUT)
    return path


@pytest.fixture
def zipped(tmp_path):
    path = tmp_path / "x.keras"
    save_weights(path, SMALL, SMALL_VARIABLES, SMALL_INPUT)
    return path


@pytest.fixture
def precision(request):
    """The precision in which Keras makes weights, float32 otherwise."""

    def choose(precision: str) -> None:
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)

    choose(request.param)
    yield request.param
    choose("float32")
