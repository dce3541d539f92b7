"""The process of a row on a case, controlled by lines of JSON.

    python -m bench.speed.worker ROW CASE SETTING

`bench.speed.run` starts it. It imports a single framework, so that its time and memory
are those of the framework.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.processes import serve
from bench.speed.cases import CASES, examples
from bench.speed.rows import ROWS
from bench.speed.twin import Precision


class Worker:
    """A row on a case."""

    def __init__(self, row: str, case: str, setting: dict[str, Any]) -> None:
        """Import the framework and create the model."""
        self.case = CASES[case]
        threads = setting.pop("threads", None)
        module = ROWS[row].module
        if module == "keras_":
            os.environ["KERAS_BACKEND"] = ROWS[row].package
        rival = importlib.import_module(f"bench.speed.rivals.{module}")
        self.imported = time.time() - psutil.Process().create_time()
        if threads is not None:
            importlib.import_module("torch").set_num_threads(threads)
        self.twin = rival.Twin(case, **setting)
        self.block: Callable[[], Any] = lambda: None
        self.seconds = 0.0

    def started(self) -> dict[str, Any]:
        """Return the seconds from process start to the end of the imports."""
        return {"import": self.imported, "memory": _memory()}

    def multiply_in(self, precision: Precision) -> dict[str, Any]:
        """Set the precision."""
        self.twin.multiply_in(precision)
        return {}

    def draw(self, file: str) -> dict[str, Any]:
        """Write the common start of all rows: parameters, a batch, and its draws."""
        batch = examples(self.case, self.case.batch_size)
        began = time.perf_counter()
        params, drawn = self.twin.draw(batch)
        seconds = time.perf_counter() - began
        _write(file, params=params, batch={**batch, **drawn})
        return {"flops": self.twin.flops(batch), "init": seconds}

    def first_step(self, start: str, file: str) -> dict[str, Any]:
        """Write the effect of the first training step."""
        read = _read(start)
        self.twin.load(read["params"])
        step = self.twin.first_step(read["batch"])
        parts = {"outputs": {"": step.outputs}, "loss": {"": step.loss}}
        _write(file, **parts, gradients=step.gradients, params=step.params)
        return {}

    def train(self, batch_size: int, steps: int) -> dict[str, Any]:
        """Prepare blocks of training steps; return the seconds of the first."""
        data = examples(self.case, batch_size * steps, seed=1)
        self._begin()
        started = time.perf_counter()
        self.block = self.twin.trainer(data, batch_size)
        self.block()
        return {"first": time.perf_counter() - started, "memory": _memory()}

    def predict(self, batch_size: int, times: int) -> dict[str, Any]:
        """Prepare blocks of predictions; return the seconds of the first."""
        data = examples(self.case, batch_size, seed=1)
        self._begin()
        started = time.perf_counter()
        self.twin.predictor(data, 1)()
        first = time.perf_counter() - started
        self.block = self.twin.predictor(data, times)
        self.block()
        return {"first": first, "memory": _memory()}

    def once(self) -> dict[str, Any]:
        """Return the seconds of a block, after a warm-up block if it is short."""
        if self.seconds < 1:  # while waiting, it may have been evicted from caches
            self.block()
        started = time.perf_counter()
        self.block()
        self.seconds = time.perf_counter() - started
        return {"seconds": self.seconds}

    def _begin(self) -> None:
        """Free the memory of the previous cell, so that each cell has its own peak."""
        self.block, self.seconds = lambda: None, 0.0
        if "jax" in sys.modules:
            sys.modules["jax"].clear_caches()
        gc.collect()
        _forget_peak()


def _forget_peak() -> None:
    """Reset the peak of memory."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # only in GNU's C library
            ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.reset_peak_memory_stats()


def _memory() -> float:
    """Return the peak memory in MiB, of the GPU if the process uses one.

    Only imported frameworks are queried; Keras may import several.
    """
    if "jax" in sys.modules and sys.modules["jax"].default_backend() == "gpu":
        device = sys.modules["jax"].devices()[0]
        if used := device.memory_stats()["peak_bytes_in_use"]:
            return used / 2**20  # of all cells so far
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        return sys.modules["torch"].cuda.max_memory_allocated() / 2**20
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text().splitlines()
        (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
        return int(peak) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write(file: str, **groups: dict[str, np.ndarray]) -> None:
    flat = {
        f"{g}/{name}": x for g, arrays in groups.items() for name, x in arrays.items()
    }
    np.savez(file, **flat)


def _read(file: str) -> dict[str, dict[str, np.ndarray]]:
    groups: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as stored:
        for key in stored:
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = stored[key]
    return groups


if __name__ == "__main__":
    row, case, setting = sys.argv[1:]
    serve(lambda: Worker(row, case, json.loads(setting)))
