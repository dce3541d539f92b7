"""`fdl eval`."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any

import tyro

import fdl
from fdl.cli.command import (
    AnswerIsNoError,
    OfRun,
    OptionalName,
    OptionalPath,
    out,
    say_what_is_read,
)
from fdl.runs.words import shown


@dataclasses.dataclass(frozen=True)
class Eval(OfRun):
    """Evaluate a trained run on the test set of a data set.

    Attributes:
        run: Run folder.
        dataset: Data set to evaluate on; that of the training if not given.
        data_dir: Folder to search for the data; that of the training if not given.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    dataset: OptionalName = None
    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Evaluate."""
        run = fdl.runs.open_run(self.run, model=self.model, task=self.task)
        say_what_is_read(
            self.run,
            self.dataset or run.config.dataset,
            run.data_dir if self.data_dir is None else None,
            is_named=self.dataset is None,
        )
        dataset = run.dataset(self.dataset, data_dir=self.data_dir)
        measured = run.evaluate(dataset.test)
        width = max(map(len, measured)) + 1
        for metric, value in sorted(measured.items()):
            out.print(f"test {metric:<{width}}{shown(metric, value)}")
        for line in _how_far(run, self.named_again):
            out.print(line, soft_wrap=True)
        out.print(f"on {dataset.info.title} ({dataset.info.test_count:,} examples)")
        strange = [name for name, value in measured.items() if not math.isfinite(value)]
        if strange:
            raise AnswerIsNoError(
                f"the {' and '.join(strange)} of {self.run} is not finite: its weights "
                "are unusable; train it again."
            )


def _how_far(run: Any, again: str) -> list[str]:
    """Return which epoch is evaluated, unless it is that of the run's result."""
    known = run.epoch is not None
    at = f"after epoch {run.epoch}" if known else "within an epoch"
    if run.result is None:
        how = f"to resume: fdl train --resume {run.path}{again}"
        return [f"{at} of {run.config.epochs}, where training was interrupted; {how}"]
    if known and run.epoch != run.result["epochs"]:
        return [f"{at} of {run.config.epochs}, because a later checkpoint is damaged"]
    return []
