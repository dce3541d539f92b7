"""The comparison with other frameworks: `python -m bench run`, `race`, `report`."""

import sys
from pathlib import Path

import tyro

from bench.speed.cases import CASES
from bench.speed.rows import ROWS

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
        quick: Whether to measure a few cases and rows only, in three minutes.
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


def race(
    *,
    out: Path = _RESULTS / "speed",
    rounds: int = 3,
    data_dir: Path | None = None,
) -> None:
    """Time rows from process start to an accuracy on MNIST, and write a report.

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
    tyro.extras.subcommand_cli_from_dict({"run": run, "race": race, "report": report})
