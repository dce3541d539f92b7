"""`fdl export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from fdl.cli.command import Command, out
from fdl.cli.trained import open_run
from fdl.keras import save_weights


@dataclasses.dataclass(frozen=True)
class Export(Command):
    """Write a trained run as a file that Keras opens; Keras is not needed.

    The model in the file is the run's: it takes images with pixels in [0, 1], and gives
    logits.

    Attributes:
        run: Folder of the run.
        to: The file: NAME.keras for the model, NAME.weights.h5 for its weights alone.
        overwrite: Replace the file if it is there.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    to: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    overwrite: bool = False

    def __call__(self) -> None:
        """Write."""
        if self.to.exists() and not self.overwrite:
            raise ValueError(
                f"{self.to} is there already: give another name, or --overwrite."
            )
        trained = open_run(self.run)
        variables = {"params": trained.state.params}
        if trained.state.batch_stats:
            variables["batch_stats"] = trained.state.batch_stats
        save_weights(self.to, trained.model, variables, trained.example)
        out.print(f"written to {self.to}", soft_wrap=True)
