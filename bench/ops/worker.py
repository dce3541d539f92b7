"""The process of one side, controlled by lines of JSON: see `bench.processes`.

python -m bench.ops.worker SIDE
"""

import gc
import importlib
import os
import sys
import time
from typing import Any

import numpy as np

from bench.ops.draws import draw
from bench.ops.programs import Program, Use
from bench.ops.rows import Row
from bench.ops.sides import SIDES
from bench.processes import serve
from bench.speed.twin import Precision


class Worker:
    """A side and its current program."""

    def __init__(self, side: str) -> None:
        """Import the framework."""
        if side == "tf":
            os.environ["KERAS_BACKEND"] = "tensorflow"
        self.side = SIDES[side]
        self.module = importlib.import_module(f"bench.ops.sides.{self.side.module}")
        self.program: Program | None = None

    def prepare(
        self,
        row: list[Any],
        batch: int,
        use: Use,
        precision: Precision | None,
        file: str,
    ) -> dict[str, float]:
        """Compile an operation, and write its first results."""
        self.program = None
        gc.collect()  # graphs of TensorFlow refer to themselves
        drawn, operation = draw(Row(*row), batch), Row(*row).operation
        options = self.side.options
        self.program = self.module.program(drawn, operation, use, precision, **options)
        np.savez(file, **self.program.first())
        return dict(self.program.facts)

    def once(self, times: int) -> dict[str, float]:
        """Run the program repeatedly; return the wall and processor seconds per run."""
        assert self.program is not None
        cpu, wall = time.process_time(), time.perf_counter()
        self.program.run(times)
        wall = time.perf_counter() - wall
        return {"wall": wall / times, "cpu": (time.process_time() - cpu) / times}


if __name__ == "__main__":
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"  # compilation is measured
    serve(lambda: Worker(sys.argv[1]))
