"""The cache returns compiled programs only as this user wrote them."""

import os
import stat
import subprocess
import sys

import jax
import pytest

from fdl.runs import compiled
from fdl.runs.compiled import CompiledPrograms, keep_compiled

SCRIPT = """
import jax
from fdl.runs import keep_compiled
keep_compiled()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)  # on any machine
print(jax.config.jax_compilation_cache_dir)
print(jax.jit(lambda key: jax.random.permutation(key, 1000))(jax.random.key(0))[0])
"""


def compile_into(folder):
    """Compile in a new process, with a folder as the compilation cache of JAX."""
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )


def test_programs_are_cached_and_damaged_ones_replaced(tmp_path) -> None:
    first, folder = compile_into(tmp_path), tmp_path / "fdl"
    assert os.listdir(tmp_path) == ["fdl"], "nothing is cached without a checksum"
    assert first.stdout.startswith(f"{folder}\n")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    damaged = {}
    for file in folder.iterdir():  # one bit, in the middle of the program
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        damaged[file] = bytes(content)
        file.write_bytes(content)
    assert damaged
    second = compile_into(tmp_path)
    assert second.stdout == first.stdout
    assert second.stderr.count("is damaged: the program is recompiled") == 1
    assert all(file.read_bytes() != content for file, content in damaged.items())
    third = compile_into(tmp_path)
    assert (third.stdout, third.stderr) == (first.stdout, "")


def test_changed_and_moved_programs_are_refused(tmp_path) -> None:
    programs = CompiledPrograms(tmp_path)
    assert programs.get("a") is None
    programs.put("a", b"program")
    assert programs.get("a") == b"program"
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    other = CompiledPrograms(tmp_path)
    file.rename(other._file("b"))
    for content, key in ((whole, "b"), (whole[:-1], "a"), (b"", "a"), (b"x" * 99, "a")):
        if key == "a":
            file.write_bytes(content)
        with pytest.warns(UserWarning, match="is damaged") as warned:
            assert CompiledPrograms(tmp_path).get(key) is None
        assert len(warned) == 1
    programs.put("a", b"program")
    assert programs.get("a") == b"program"


def test_an_unusable_folder_is_reported_once(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    programs = CompiledPrograms(tmp_path / "file")
    with pytest.warns(UserWarning, match="compiled program cannot be cached"):
        programs.put("a", b"program")
    for key in "abc":  # warnings are errors
        programs.put(key, b"program")
        assert programs.get(key) is None


def test_the_least_recently_used_programs_go_first(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(compiled, "_MOST_BYTES", 300.0)
    programs = CompiledPrograms(tmp_path)
    for time, key in enumerate("abc"):
        programs.put(key, bytes(100))
        os.utime(programs._file(key), (time, time))
    assert programs.get("b")  # used recently
    programs.put("d", bytes(10))
    assert [programs.get(key) is not None for key in "abcd"] == [
        False,
        True,
        False,
        True,
    ]


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """Leave JAX without a cache folder, and return the one that fdl would use."""
    monkeypatch.setenv("FDL_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path / "compiled"
    assert jax.config.jax_compilation_cache_dir is None, "no folder was set"
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize("named", [False, True])
def test_a_folder_that_others_can_write_to_is_not_used(
    unset, named, tmp_path, monkeypatch
) -> None:
    if named:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    folder = tmp_path / "fdl" if named else unset
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.warns(UserWarning, match="can be written to by others. Delete it"):
        keep_compiled()
    folder.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    variable = "JAX_COMPILATION_CACHE_DIR" if named else "FDL_CACHE_DIR"
    with pytest.warns(
        UserWarning, match=f"to another user. Delete it, or set {variable}"
    ):
        keep_compiled()


def test_a_remote_folder_is_not_used_and_one_set_by_the_program_is_kept(
    unset, monkeypatch
) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "gs://bucket/programs")
    with pytest.warns(UserWarning, match="is not a folder of this computer"):
        keep_compiled()
    jax.config.update("jax_compilation_cache_dir", "/a/program's")
    keep_compiled()
    assert jax.config.jax_compilation_cache_dir == "/a/program's"
    jax.config.update("jax_compilation_cache_dir", None)


def test_without_the_hook_of_jax_nothing_is_cached(unset, monkeypatch) -> None:
    from jax._src import compilation_cache

    monkeypatch.delattr(compilation_cache, "get_file_cache")
    with pytest.warns(UserWarning, match="cannot verify their checksums with JAX"):
        keep_compiled()
