"""HDF5 files, read in this process: a subprocess for each takes half a second."""

import pytest

from fdl.keras import hdf5, hdf5_contents


@pytest.fixture(autouse=True)
def read_here(monkeypatch, request):
    """Read HDF5 files in this process, except in tests that use `in_a_process`."""
    if "in_a_process" not in request.fixturenames:
        tell = lambda file, where: hdf5_contents.tell(file)
        monkeypatch.setattr(hdf5, "_ask", tell)


@pytest.fixture
def in_a_process():
    """Read HDF5 files in a subprocess, as users do."""
