"""Accidental damage of files is detected, wherever it is."""

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
def test_refuses_files_of_neither_format(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, "cannot be read as", SMALL_INPUT)
    refuse(tmp_path / name, "cannot be read as|pass an example input")


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
def test_refuses_a_truncated_file(h5, zipped, fraction) -> None:
    for path in (h5, zipped):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * fraction)])
        refuse(path, "cannot be read as", SMALL_INPUT)


@functools.cache
def intact(name: str) -> bytes:
    """Return the content of an undamaged file."""
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
def test_any_damage_of_a_keras_file_is_detected(tmp_path, data) -> None:
    """By checksums; `.weights.h5` files have none, so they cannot promise this."""
    content = bytearray(intact("x.keras"))
    # The description and the directory at the end are small compared to the weights.
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
def test_a_truncated_weights_file_is_refused(tmp_path, keep) -> None:
    path, content = tmp_path / "x.weights.h5", intact("x.weights.h5")
    path.write_bytes(content[: int(keep * len(content))])
    refuse(path, "cannot be read as HDF5", SMALL_INPUT)
