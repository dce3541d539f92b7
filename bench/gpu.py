"""Everything that is to be known of a GPU, in one call of limited time.

First the cases at their batches and large ones, beside plain Flax and PyTorch as it is
fastest (compiled, and captured as a CUDA graph); then 64 and 256 CNNs in one program;
then as many single operations, at 64 and 1024, as the time allows, forward and in
training. Products are in TF32 and in bfloat16. What was measured is reported, even if
the time is up or a part fails.
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
    """Measure all parts into folders of `results` that are for GPUs.

    Raises:
        RuntimeError: If there is no GPU.
    """
    if not cases.ON_GPU:
        raise RuntimeError("JAX sees no GPU: run it where jax[cuda12] does.")
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
    """Run a part; if it fails, say so and go on, as the GPU may not be there again."""
    try:
        part()
    except Exception:
        traceback.print_exc()
