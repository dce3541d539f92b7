"""`fdl export`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

import fdl
from fdl.cli.command import OfRun, OptionalName, out


@dataclasses.dataclass(frozen=True)
class Export(OfRun):
    """Write a trained run as a file for other programs; the ending tells the format.

    NAME.stablehlo is what `fdl predict` answers, for JAX alone, on any platform;
    NAME.onnx is the same for onnxruntime, of dense, convolutional and recurrent models.
    NAME.safetensors holds the variables of a model. NAME.keras is a model for Keras,
    which takes pixels in [0, 1] and gives logits, and NAME.weights.h5 its weights.

    Attributes:
        run: Folder of the run, or of `fdl import`.
        to: The file.
        part: Which model, of a run that has several.
        parameters: Where those of a .stablehlo go: inside the file, or beside it, as
            NAME.safetensors.
        overwrite: Replace files that are there.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    to: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    part: OptionalName = None
    parameters: Literal["inside", "beside"] = "inside"
    overwrite: bool = False

    def __call__(self) -> None:
        """Write."""
        from fdl.runs import exporting

        files = exporting.written(self.to, self.parameters)
        for file in files:
            if file.exists() and not self.overwrite:
                raise ValueError(
                    f"{file} is there already: give another name, or --overwrite."
                )
        run = fdl.load(self.run, model=self.model, task=self.task)
        if isinstance(run, fdl.runs.Run):
            run.export(self.to, part=self.part, parameters=self.parameters)
        elif isinstance(run, fdl.runs.ImportedModel):
            run.export(self.to)
        else:
            raise ValueError(f"{self.run} is an exported file already.")
        out.print(f"written to {', '.join(map(str, files))}", soft_wrap=True)
