"""Files that were damaged by accident are noticed, wherever it struck."""

import functools
import tempfile
from pathlib import Path

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


@functools.cache
def whole(name: str) -> bytes:
    """Return the content of a file without damage."""
    with tempfile.TemporaryDirectory() as folder:
        save_weights(Path(folder) / name, SMALL, SMALL_VARIABLES, SMALL_INPUT)
        return (Path(folder) / name).read_bytes()


@settings(
    max_examples=150,
    deadline=1000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_damage_of_a_keras_file_is_noticed(tmp_path, data) -> None:
    """Checksums see to it; files without them, `.weights.h5`, cannot promise that."""
    content = bytearray(whole("x.keras"))
    # The description and the directory at the end are small beside the weights.
    somewhere = st.integers(0, len(content) - 1) | st.integers(-400, -1)
    for place in data.draw(st.lists(somewhere, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.none() | somewhere)
    path = tmp_path / "x.keras"
    path.write_bytes(content[:end])
    try:
        loaded = load_weights(path, SMALL)
    except WeightsError:
        return
    same(loaded, SMALL_VARIABLES)


@settings(
    max_examples=40,
    deadline=1000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_shorter_weights_file_is_noticed(tmp_path, keep) -> None:
    path, content = tmp_path / "x.weights.h5", whole("x.weights.h5")
    path.write_bytes(content[: int(keep * len(content))])
    refuse(path, "cannot be read as HDF5", SMALL_INPUT)
