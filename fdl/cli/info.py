"""`fdl info`."""

import dataclasses
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import fdl
from fdl.cli.command import Command, out
from fdl.files import json_text

_PACKAGES = ("orbax-checkpoint", "tensorflow-datasets", "tyro")
_OPTIONAL = ("keras", "tensorflow", "tensorflow-cpu", "torch", "onnx", "sacrebleu")
_VARIABLES = ("FDL_", "JAX_", "XLA_", "NVIDIA_TF32", "LIBTPU_")


@dataclasses.dataclass(frozen=True)
class Info(Command):
    """Show versions, devices and how fdl is installed, to paste into a bug report.

    Attributes:
        json: Print one JSON object instead of lines.
    """

    json: bool = False

    def __call__(self) -> None:
        """Print the information."""
        found = _found()
        if self.json:
            print(json_text(found, indent=1))
            return
        width = max(map(len, found)) + 2
        for name, value in found.items():
            out.print(f"{name:<{width}}{_shown(value)}", soft_wrap=True)


def _found() -> dict[str, Any]:
    from fdl.runs.environment import commit, device, versions

    known = versions(*_PACKAGES)
    known |= {name: x for name in _OPTIONAL if (x := _version(name)) is not None}
    memory = psutil.virtual_memory().total / 2**30
    return {
        "fdl": known.pop("fdl"),
        "commit": commit(),
        "installed in": str(Path(fdl.__file__).parent),
        "python": f"{known.pop('python')}, {sys.executable}",
        "system": platform.platform(),
        "device": device(),
        "memory": f"{memory:.1f} GiB",
        "packages": known,
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_VARIABLES) and not name.endswith("_URL")
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {x}" for name, x in value.items()) or "none"
    return "unknown" if value is None else str(value)
