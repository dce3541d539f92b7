"""`fdl eval`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from fdl import data
from fdl.cli.command import Command, OptionalName, OptionalPath, out, shown
from fdl.cli.trained import open_run
from fdl.train import evaluate


@dataclasses.dataclass(frozen=True)
class Eval(Command):
    """Measure a trained run on the test images of a data set.

    Attributes:
        run: Folder of the run.
        dataset: Data set; that of the training if not given.
        data_dir: Folder to look for the data in; that of the training if not given.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    dataset: OptionalName = None
    data_dir: OptionalPath = None

    def __call__(self) -> None:
        """Measure."""
        task, trained, data_dir = open_run(self.run)
        name = self.dataset or trained.config.dataset
        dataset = data.load(name, data_dir=self.data_dir or data_dir)
        dataset = task.prepare(dataset, trained.config)
        if trained.config.dataset in dataset.info.overlaps:
            raise data.DataError(
                f"the test images of {name} are training images of "
                f"{trained.config.dataset}, which {self.run} was trained on: the "
                "result would mean nothing. Evaluate on another data set."
            )
        measured = evaluate(trained.learner, trained.state, dataset.test)
        width = max(map(len, measured)) + 1
        for metric, value in sorted(measured.items()):
            out.print(f"test {metric:<{width}}{shown(metric, value)}")
        out.print(f"on {name} ({dataset.info.test_count:,} examples)")
