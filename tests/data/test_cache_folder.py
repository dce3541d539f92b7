"""The cache folder: where it is, what it stores, and users without one."""

import os
import pwd
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fdl
from fdl import data
from fdl.data import cache, parquet, prepared_examples


@pytest.fixture
def homeless(monkeypatch):
    """Run as a container's user: without HOME, and unknown to the system."""

    def unknown(user):
        raise KeyError(user)

    for name in ("HOME", "FDL_CACHE_DIR", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_folder_caches_nothing(homeless) -> None:
    folder = cache.folder()
    cache.keep(folder / "file", b"content")
    assert not folder.exists()
    assert data.status()
    train, *_ = data.load("mnist-5k")
    assert len(train.image) > 3000


def test_a_user_without_a_home_folder_compiles_again(homeless, monkeypatch) -> None:
    import jax

    from fdl.runs.compiled import keep_compiled

    before = jax.config.values["jax_compilation_cache_dir"]
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    keep_compiled()
    assert jax.config.values["jax_compilation_cache_dir"] == before
    assert not os.path.exists("~")


def test_the_home_of_an_unknown_user_is_not_a_folder(monkeypatch) -> None:
    for name in ("FDL_CACHE_DIR", "FDL_DATA_DIR"):
        monkeypatch.setenv(name, "~nobody-of-this-name/x")
    cache.keep(cache.folder() / "file", b"content")
    assert not cache.folder().exists()
    assert len(data.load("mnist-5k").test.image) == 1000
    with pytest.raises(fdl.DataError, match="~nobody-of-this-name: there is no such"):
        data.load("mnist", data_dir="~nobody-of-this-name")


def paint(root, level=0):
    """Write a folder of pictures of two classes, in files of equal size."""
    from PIL import Image

    for name in ("a", "b"):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            pixel = (100 + level, number, 7)
            Image.new("RGB", (9, 9), pixel).save(root / name / f"{number}.bmp")
    return f"folder:{root}"


def test_an_edit_that_keeps_size_and_time_is_noticed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FDL_CACHE_DIR", str(tmp_path / "cache"))
    line, file = paint(tmp_path / "photos"), tmp_path / "photos/a/0.bmp"
    before = data.load(line, validation=None)
    about = file.stat()
    content = bytearray(file.read_bytes())
    content[-30:] = b"\xff" * 30
    with file.open("r+b") as opened:
        opened.write(content)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns) == (about.st_size, about.st_mtime_ns)
    assert data.load(line, validation=None).info.checksum != before.info.checksum


def test_two_processes_that_write_at_once_leave_whole_files(tmp_path) -> None:
    """Both cache the same arrays repeatedly, and read those of the other."""
    code = """if True:
        import sys, numpy as np
        from fdl.data import cache
        arrays = {"x": np.arange(200_000), "y": np.ones(7)}
        for turn in range(40):
            cache.keep_arrays(f"k{turn % 2}", arrays)
            found = cache.read_arrays(f"k{turn % 2}")
            assert found is not None, turn
            assert (found["x"] == arrays["x"]).all()
            assert found.keys() == arrays.keys()
    """
    env = os.environ | {"FDL_CACHE_DIR": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=env) for _ in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    left = sorted(file.name for file in (tmp_path / "decoded").iterdir())
    assert left == ["k0.npz", "k1.npz"]


def test_tfds_directories_and_parquet_files_are_decoded_once(
    tmp_path, monkeypatch
) -> None:
    from make_tfds import png, write_tfds
    from tensorflow_datasets import features

    monkeypatch.setenv("FDL_CACHE_DIR", str(tmp_path / "cache"))
    described = {
        "image": features.Image(shape=(8, 8, 1)),
        "label": features.ClassLabel(names=("a", "b", "c")),
    }
    images = np.random.default_rng(0).integers(256, size=(12, 8, 8), dtype=np.uint8)
    rows = [(n, {"image": png(images[n]), "label": n % 2}) for n in range(12)]
    version = write_tfds(tmp_path, described, {"train": rows, "other": rows})
    table = {"image": [png(x) for x in images], "label": [n % 2 for n in range(12)]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    for line, module, name in (
        ("tfds:pets", prepared_examples, "_decode"),
        (f"hf:{tmp_path}/a.parquet", parquet, "rows_of"),
    ):
        first = data.load(line, data_dir=tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, None)  # it is not called
            again = data.load(line, data_dir=tmp_path)
        assert again.info == first.info
        np.testing.assert_array_equal(again.test.image, first.test.image)
    assert "ignored: other" in data.load("tfds:pets", data_dir=tmp_path).info.source
    shard = next(version.glob("*train*"))
    os.utime(shard)
    monkeypatch.setattr(prepared_examples, "_decode", None)
    with pytest.raises(TypeError):  # now it is called
        data.load("tfds:pets", data_dir=tmp_path)
