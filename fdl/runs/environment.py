"""What a run ran on, for its record."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

import fdl
from fdl.data.cache import folder as cache_folder

_COMPILED_BYTES = 2**30


def keep_compiled() -> None:
    """Keep compiled programs for the processes to come, unless JAX was told otherwise.

    None are kept where the folder cannot be made, such as by a user without a home.
    They lie in `compiled` in fdl's cache folder, a gigabyte of those used last.
    `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` keeps none. Commands call it; a script or a
    notebook that calls it before it trains starts sooner the next time.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _COMPILED_BYTES)
    # Commands compile many small programs; together they are worth keeping.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def versions(*others: str) -> dict[str, str]:
    """Return the versions of Python and of the packages that change results."""
    packages = ("fdl", "jax", "jaxlib", "flax", "optax", "numpy", *others)
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def made_with() -> dict[str, Any]:
    """Return device, versions and commit, as results keep them."""
    return {"device": device(), "versions": versions(), "commit": commit()}


def device() -> str:
    """Return the device that JAX computes on, and how much of it there is."""
    devices = jax.devices()
    first = devices[0]
    if first.platform == "cpu":
        return f"cpu: {_cpu_model()}, {len(os.sched_getaffinity(0))} cores"
    return f"{first.platform}: {len(devices)} x {first.device_kind}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def commit() -> str | None:
    """Return the commit of fdl's own checkout; None if it is installed otherwise."""
    package = Path(fdl.__file__).parent
    git = ["git", "-C", str(package)]
    try:
        # A virtual environment may lie in somebody else's repository.
        subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"],
            check=True,
            capture_output=True,
        )
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip()
