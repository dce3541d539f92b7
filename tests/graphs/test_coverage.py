import inspect

import pytest

from fdl.keras.graph.read import read_model
from fdl.keras.table import LAYERS
from graphs import coverage
from graphs.keras_operation_models import MODELS
from lazily import keras

pytestmark = pytest.mark.parity


def test_page_is_up_to_date():
    wanted = coverage.page()
    assert coverage.PAGE.read_text() == wanted, "run python tests/graphs/coverage.py"


def kinds(graph):
    for layer in graph.layers:
        yield layer.kind
        if layer.graph:
            yield from kinds(layer.graph)
        for value in layer.options.values():
            for one in value if isinstance(value, tuple) else (value,):
                if hasattr(one, "kind"):
                    yield one.kind
                    yield from (cell.kind for cell in one.options.get("cells", ()))


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:Layer .*does not support masking:UserWarning")
def test_every_layer_is_compared_with_keras():
    met = set()
    for make in MODELS.values():
        config = keras.saving.serialize_keras_object(keras.Model(*make()))
        met |= set(kinds(read_model(_plain(config))))
    layers = {kind for kind in LAYERS if not kind.startswith("ops.")}
    assert layers <= met


def test_every_option_of_keras_is_known():
    """Options that Keras writes are in the table, so none is refused as unknown."""
    for name, entry in LAYERS.items():
        made = getattr(keras.layers, name, None)
        if made is None or not inspect.isclass(made):
            continue
        given = set(inspect.signature(made.__init__).parameters)
        general = set(
            "self kwargs args activity_regularizer name dtype trainable".split()
        )
        missing = given - set(entry.options) - general - _OTHER_WORDS.get(name, set())
        assert not missing, f"{name}: {missing}"


_OTHER_WORDS = {
    "Bidirectional": {"weights"},
    "Embedding": {"weights"},
    "EinsumDense": {"gptq_unpacked_column_size"},
}


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
