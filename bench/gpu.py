"""All measurements on a GPU, in one call with a time limit.

First the cases, at their own and at large batch sizes, compared with plain Flax and the
fastest forms of PyTorch (compiled, and captured as a CUDA graph); then 64 and 256 CNNs
in one program; then as many single operations as the time allows, forward and in
training, with batches of 64 and 1024. Operations are in TF32 and in bfloat16. Completed
measurements are reported even if the time runs out or a part fails.
"""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

from bench import many
from bench.ops import report as of_ops
from bench.ops import run as of_operations
from bench.speed import report as of_cases
from bench.speed import run as cases
from bench.speed.cases import CASES

_RIVALS = ["flax", "torch-tuned", "torch-compile", "torch-graph"]
_EXTENT = cases.Extent(rounds=5, share=0.5, predict=True, large=True)


def measure(minutes: float, results: Path) -> None:
    """Measure all parts, and write them to the GPU files in `results`.

    Raises:
        RuntimeError: If there is no GPU.
    """
    if not cases.ON_GPU:
        raise RuntimeError("JAX does not find a GPU: install jax[cuda12].")
    began = time.monotonic()
    within = lambda share: time.monotonic() - began < 60 * share * minutes
    for name in CASES:
        if within(0.5):
            _try(lambda name=name: _case(name, results / "speed-gpu"))
    if within(0.6):
        file = results / "many-gpu.json"
        _try(lambda: many.main(("cnn",), members=(64, 256), rounds=2, out=file))
    _try(lambda: _operations(results / "ops-gpu", began + 60 * minutes))


def _case(name: str, out: Path) -> None:
    cases.run([name], _RIVALS, out, _EXTENT)
    of_cases.write(out)


def _operations(out: Path, until: float) -> None:
    of_operations.run(
        of_operations.chosen(()),
        ("forward", "training"),
        (64, 1024),
        ("tf32", "bfloat16"),
        out,
        of_operations.QUICK,
        until,
    )
    of_ops.write(out)


def _try(part: Callable[[], object]) -> None:
    """Run a part; if it fails, print the error and continue: GPU time is scarce."""
    try:
        part()
    except Exception:
        traceback.print_exc()
