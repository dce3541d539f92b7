"""Files that were damaged by accident are noticed, wherever it struck."""

import pytest
from draws import SMALL, SMALL_INPUT, SMALL_VARIABLES, refuse, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdl.keras import WeightsError, load_weights, save_weights


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"HDF", b"\x89HDF\r\n\x1a\n", b"PK\3\4"]
)
def test_refuses_what_is_neither(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, "cannot be read as", SMALL_INPUT)
    refuse(tmp_path / name, "cannot be read as|pass an example input")


@pytest.mark.parametrize("of_all", [0.1, 0.5, 0.9, 0.999])
def test_refuses_a_file_that_ends_early(h5, zipped, of_all) -> None:
    for path in (h5, zipped):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * of_all)])
        refuse(path, "cannot be read as", SMALL_INPUT)


@settings(
    max_examples=300,
    deadline=1000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_damage_of_a_keras_file_is_noticed(zipped, data) -> None:
    """Checksums see to it; files without them, `.weights.h5`, cannot promise that."""
    save_weights(zipped, SMALL, SMALL_VARIABLES, SMALL_INPUT)
    content = bytearray(zipped.read_bytes())
    # The description and the directory at the end are small beside the weights.
    somewhere = st.integers(0, len(content) - 1) | st.integers(-400, -1)
    for place in data.draw(st.lists(somewhere, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.none() | somewhere)
    zipped.write_bytes(content[:end])
    try:
        loaded = load_weights(zipped, SMALL)
    except WeightsError:
        return
    same(loaded, SMALL_VARIABLES)


@settings(
    max_examples=60,
    deadline=1000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_shorter_weights_file_is_noticed(h5, keep) -> None:
    save_weights(h5, SMALL, SMALL_VARIABLES, SMALL_INPUT)
    content = h5.read_bytes()
    h5.write_bytes(content[: int(keep * len(content))])
    refuse(h5, "cannot be read as HDF5", SMALL_INPUT)
