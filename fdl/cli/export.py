"""`fdl export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from fdl import runs
from fdl.cli.command import Command, OptionalName, out


@dataclasses.dataclass(frozen=True)
class Export(Command):
    """Write a trained run as a file that Keras opens; Keras is not needed.

    The model in the file is the run's, as its class describes it: a classifier takes
    pixels in [0, 1], and gives logits.

    Attributes:
        run: Folder of the run.
        to: The file: NAME.keras for the model, NAME.weights.h5 for its weights alone.
        part: Which model, of a run that has several.
        overwrite: Replace the file if it is there.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    to: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    part: OptionalName = None
    overwrite: bool = False

    def __call__(self) -> None:
        """Write."""
        if self.to.exists() and not self.overwrite:
            raise ValueError(
                f"{self.to} is there already: give another name, or --overwrite."
            )
        runs.load(self.run).export(self.to, part=self.part)
        out.print(f"written to {self.to}", soft_wrap=True)
