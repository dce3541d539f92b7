"""Learning curves of runs and sweeps, for pictures that compare several."""

import csv
import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from fdl.runs.errors import RunError
from fdl.runs.listing import look_at, read_log
from fdl.untrusted import read_text

Curves = Float[np.ndarray, "seeds epochs"]


class Learning(NamedTuple):
    """The learning curves of a run, or of a sweep over seeds.

    Attributes:
        name: The name of its folder.
        metric: Name of the metric.
        train: The metric on the training data during each epoch, for each seed; NaN
            where a seed was not trained.
        validation: The metric on the validation part after each epoch; NaN if nothing
            was held out.
        test: The metric on the test set, or its mean over the seeds that did not
            diverge; None before the end.
    """

    name: str
    metric: str
    train: Curves
    validation: Curves
    test: float | None


def learning(paths: Sequence[Path | str]) -> list[Learning]:
    """Return the learning curves of runs, and of sweeps of one configuration.

    Args:
        paths: Their folders; they may still be in training.

    Raises:
        RunError: If a folder holds neither, a file is damaged, or metrics differ.

    Example:
        >>> import fdl.runs, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     place = Path(folder) / "a"
        ...     how = {"dataset": "mnist-5k", "epochs": 1}
        ...     _ = fdl.runs.train("mlp", **how, path=place)
        ...     (found,) = learning([place])
        >>> found.name, found.metric, found.train.shape
        ('a', 'accuracy', (1, 1))
    """
    found = [_learning(Path(path)) for path in paths]
    for one in found[1:]:
        if one.metric != found[0].metric:
            raise RunError(
                f"{found[0].name} measured {found[0].metric} and {one.name} "
                f"{one.metric}: they cannot be compared."
            )
    return found


def _learning(path: Path) -> Learning:
    listed = look_at(path) if (path / "config.json").is_file() else None
    if listed is None or listed.status == "damaged":
        what = "a damaged file" if listed else "neither a run nor a sweep"
        raise RunError(f"{path} holds {what}.")
    rows = _rows_of_sweep(path) or _rows_of_run(path)
    if not rows:
        raise RunError(f"{path} has no epoch yet: wait for the first.")
    try:
        seeds = list(dict.fromkeys(row["seed"] for row in rows))
        shape = len(seeds), max(int(row["epoch"]) for row in rows)
        curves = {part: np.full(shape, np.nan) for part in ("train", "validation")}
        for row in rows:
            place = seeds.index(row["seed"]), int(row["epoch"]) - 1
            for part, values in curves.items():
                values[place] = float(row.get(f"{part}_{listed.metric}") or "nan")
        tests = [
            float(value)
            for row in rows
            if (value := row.get(f"test_{listed.metric}"))
            and int(row.get("diverged", -1)) < 0
        ]
    except (KeyError, ValueError, IndexError) as error:
        raise RunError(f"{path} holds a damaged file: {error!r}.") from error
    test = listed.value if listed.status == "done" else None
    if listed.status == "sweep" and tests:
        test = statistics.fmean(tests)  # `listed.value` may be of the best seed only
    name = path.resolve().name
    return Learning(name, listed.metric, **curves, test=test)


def _rows_of_run(path: Path) -> list[dict[str, Any]]:
    return [
        {"seed": 0, "epoch": line["epoch"]}
        | {
            f"{part}_{name}": value
            for part in ("train", "validation")
            for name, value in line[part].items()
        }
        for line in read_log(path)
    ]


def _rows_of_sweep(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a sweep's table; none if there is no such file.

    Raises:
        RunError: If the sweep has several configurations.
    """
    file = path / "members.csv"
    if not file.is_file():
        return []
    rows = list(csv.DictReader(io.StringIO(read_text(file))))
    count = len({row.get("configuration") for row in rows})
    if count > 1:
        raise RunError(
            f"{path} has {count} configurations: compare sweeps of one configuration."
        )
    return rows
