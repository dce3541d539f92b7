"""Comparison with other libraries: `python -m bench run`, `ops`, `race`, `gpu`."""

import sys
from pathlib import Path
from typing import Any, get_args

import tyro

from bench.ops.programs import USES
from bench.speed.cases import CASES
from bench.speed.rows import ROWS
from bench.speed.twin import Precision

_RESULTS = Path(__file__).parent / "results"


def run(
    cases: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    against: tuple[str, ...] = (),
    out: Path | None = None,
    rounds: int | None = None,
    quick: bool = False,
) -> None:
    """Measure cases side by side, each row in its own process, and write a report.

    Args:
        cases: Names of cases; all by default.
        against: Rows to compare with; all by default.
        out: Folder for the results; bench/results/speed, or speed-quick, by default.
        rounds: Number of times that each row is measured, in turns.
        quick: Whether to measure only a few cases and rows, in three minutes.
    """
    from bench.speed.run import QUICK, Extent
    from bench.speed.run import run as measure

    for names, known in ((cases, CASES), (against, ROWS)):
        for name in names:
            if name not in known:
                sys.exit(f"{name!r} is unknown; choose from {', '.join(known)}.")
    extent = QUICK if quick else Extent()
    if rounds is not None:
        if rounds < 1:
            sys.exit(f"rounds={rounds} must be at least 1.")
        extent = extent._replace(rounds=rounds)
    quick_rows = ("flax", "keras-tf-tuned", "torch-tuned")
    out = out or _RESULTS / ("speed-quick" if quick else "speed")
    well = measure(
        list(cases or (("mlp", "cnn") if quick else CASES)),
        list(against or (quick_rows if quick else ROWS)),
        out,
        extent,
    )
    report(out)
    if not well:
        sys.exit("some rows failed: see the report.")


def gpu(*, minutes: float = 13.0, results: Path = _RESULTS) -> None:
    """Measure cases, members and operations on a GPU, within a time limit.

    Args:
        minutes: Time limit, after which no part starts.
        results: Parent folder of the results.
    """
    from bench.gpu import measure

    try:
        measure(minutes, results)
    except RuntimeError as error:
        sys.exit(str(error))


def race(
    *,
    out: Path = _RESULTS / "speed",
    rounds: int = 3,
    data_dir: Path | None = None,
) -> None:
    """Time rows from process start to a target accuracy on MNIST, and write a report.

    Args:
        out: Folder of the results, which must include the case cnn.
        rounds: Number of times that each row is measured, in turns.
        data_dir: Folder of the original data files.
    """
    from bench.speed.race import race as measure

    try:
        measure(out, rounds, data_dir)
    except FileNotFoundError as error:
        sys.exit(str(error))
    report(out)


def ops(
    rows: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    uses: str = ",".join(USES),
    batches: str = "",
    precisions: str = "tf32,bfloat16",
    out: Path | None = None,
    quick: bool = False,
) -> None:
    """Measure single operations side by side, and write a report.

    Args:
        rows: Names of rows, with wildcards, or of operations; all by default.
        uses: Any of forward, training (with gradients) and loop (of training steps).
        batches: Batch sizes, among those of the rows; all by default.
        precisions: Precisions of products on GPUs: tf32, float32, bfloat16.
        out: Folder for the results; bench/results/ops, or ops-quick, by default.
        quick: Whether to take fewer turns.
    """
    from bench.ops import report as of_ops
    from bench.ops.run import FULL, QUICK, chosen
    from bench.ops.run import run as measure

    out = out or _RESULTS / ("ops-quick" if quick else "ops")
    try:
        well = measure(
            chosen(rows),
            _among(uses, USES),
            [int(batch) for batch in batches.split(",") if batch],
            _among(precisions, get_args(Precision)),
            out,
            QUICK if quick else FULL,
        )
        print(of_ops.write(out))
    except ValueError as error:
        sys.exit(str(error))
    if not well:
        sys.exit("some sides failed: see the report.")


def _among(words: str, known: tuple[Any, ...]) -> list[Any]:
    for word in words.split(","):
        if word not in known:
            raise ValueError(f"{word!r} is unknown; choose from {', '.join(known)}.")
    return words.split(",")


def report(folder: tyro.conf.Positional[Path] = _RESULTS / "speed") -> None:
    """Write report.md and charts from the results in a folder.

    Args:
        folder: Folder of the results.
    """
    from bench.speed.report import write

    try:
        print(write(folder))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict(
        {"run": run, "ops": ops, "race": race, "gpu": gpu, "report": report}
    )
