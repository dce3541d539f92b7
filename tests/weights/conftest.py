"""Files to damage, and the precision of Keras."""

import pytest
from draws import SMALL, SMALL_INPUT, SMALL_VARIABLES

from fdl.keras import save_weights
from lazily import keras
from read_here import in_a_process as in_a_process
from read_here import read_here as read_here


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
    """The precision of the weights that Keras creates; reset to float32 afterwards."""

    def choose(precision: str) -> None:
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)

    choose(request.param)
    yield request.param
    choose("float32")
