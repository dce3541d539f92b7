"""What a command sets up around itself."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import jax
from fdl.runs.environment import keep_compiled
keep_compiled()
print(jax.config.jax_compilation_cache_dir)
jax.jit(lambda key: jax.random.permutation(key, 1000))(jax.random.key(0))
"""


@pytest.mark.parametrize("named", [False, True])
def test_compiled_programs_are_kept(tmp_path, named) -> None:
    environment = {**os.environ, "FDL_CACHE_DIR": str(tmp_path / "fdl")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if named:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "mine")
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    folder = tmp_path / ("mine" if named else "fdl/compiled")
    assert done.stdout.strip() == str(folder)
    assert any(
        "permutation" in file.name or "lambda" in file.name for file in folder.iterdir()
    )
    assert (tmp_path / "fdl").exists() != named
