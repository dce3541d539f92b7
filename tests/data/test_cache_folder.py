"""Where fdl keeps what it keeps."""

import os
import pwd

import pytest

import fdl
from fdl import data
from fdl.data import cache


@pytest.fixture
def homeless(monkeypatch):
    """Run as a user of a container: without HOME, and unknown to the system."""

    def unknown(user):
        raise KeyError(user)

    for name in ("HOME", "FDL_CACHE_DIR", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_keeps_nothing(homeless) -> None:
    folder = cache.folder()
    cache.keep(folder / "file", b"content")
    assert not folder.exists()
    assert data.status()
    train, *_ = data.load("mnist-5k")
    assert len(train.image) > 3000


def test_a_user_without_a_home_compiles_anew(homeless, monkeypatch) -> None:
    import jax

    from fdl.runs.compiled import keep_compiled

    before = jax.config.values["jax_compilation_cache_dir"]
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    keep_compiled()
    assert jax.config.values["jax_compilation_cache_dir"] == before
    assert not os.path.exists("~")


def test_the_home_of_nobody_is_no_folder(monkeypatch) -> None:
    for name in ("FDL_CACHE_DIR", "FDL_DATA_DIR"):
        monkeypatch.setenv(name, "~nobody-of-this-name/x")
    cache.keep(cache.folder() / "file", b"content")
    assert not cache.folder().exists()
    assert len(data.load("mnist-5k").test.image) == 1000
    with pytest.raises(fdl.DataError, match="~nobody-of-this-name: there is no such"):
        data.load("mnist", data_dir="~nobody-of-this-name")
