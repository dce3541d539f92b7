"""The versions, device and flags of a run, for its record."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

import fdl


def versions(*others: str) -> dict[str, str]:
    """Return the versions of Python and of the packages that affect results."""
    packages = ("fdl", "jax", "jaxlib", "flax", "optax", "numpy", *others)
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


FLAGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_most_optimizations",
    "jax_enable_x64",
    "jax_exec_time_optimization_effort",
    "jax_high_dynamic_range_gumbel",
    "jax_numpy_dtype_promotion",
    "jax_optimization_level",
    "jax_random_seed_offset",
    "jax_softmax_custom_jvp",
    "jax_threefry_partitionable",
)
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")


def environment() -> dict[str, Any]:
    """Return what affects results apart from settings, data and versions.

    That is the kind and number of devices, on CPU the number of cores, by which sums
    are divided, and the flags of JAX and XLA. If all of these are equal, so are the
    random numbers and, on CPU, every bit of the result.

    Example:
        >>> found = environment()
        >>> found["platform"], found["jax_default_prng_impl"]
        ('cpu', 'threefry2x32')
    """
    devices = jax.devices()
    on_cpu = devices[0].platform == "cpu"
    # Attributes also see values set by a context, such as that of `jax.enable_x64`.
    flags = {
        name: getattr(jax.config, name, jax.config.values.get(name)) for name in FLAGS
    }
    return {
        "platform": devices[0].platform,
        "machine": platform.machine(),
        "device": devices[0].device_kind,
        "devices": len(devices),
        "cores": cores() if on_cpu else None,
        **{name: getattr(value, "value", value) for name, value in flags.items()},
        **{name: os.environ.get(name, "") for name in _VARIABLES},
    }


def cores() -> int:
    """Return the number of cores that XLA divides work among.

    It is that of the process, unless the environment variable `NPROC` overrides it.
    """
    said = os.environ.get("NPROC", "")
    return int(said) if said.isdecimal() else len(os.sched_getaffinity(0))


def made_with(*others: str) -> dict[str, Any]:
    """Return device, versions, commit and date, for the record of a result.

    Args:
        *others: Additional packages whose versions matter.
    """
    return {"device": device(), "versions": versions(*others), **made_from()}


def made_from() -> dict[str, str | None]:
    """Return the commit of fdl, and the date."""
    return {"commit": commit(), "date": datetime.date.today().isoformat()}


def device() -> str:
    """Return the device that JAX computes on, with the number of devices or cores."""
    devices = jax.devices()
    first = devices[0]
    if first.platform == "cpu":
        return f"cpu: {_cpu_model()}, {cores()} cores"
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
        # A virtual environment may be inside another repository.
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
