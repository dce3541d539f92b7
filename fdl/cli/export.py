"""`fdl export`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

import fdl
from fdl.cli.command import OfRun, OptionalName, out


@dataclasses.dataclass(frozen=True)
class Export(OfRun):
    """Export a trained run to a file for other programs; its extension sets the format.

    NAME.stablehlo predicts what `fdl predict` does, with JAX alone, on any platform;
    NAME.onnx does the same in onnxruntime, for dense, convolutional and recurrent
    models. NAME.safetensors holds the variables of a model. NAME.keras is a Keras model
    that takes pixels in [0, 1] and returns logits, and NAME.weights.h5 its weights.

    Attributes:
        run: Run folder, or a folder of `fdl import`.
        to: File to write.
        part: Model to export, if the run has several.
        parameters: Where the parameters of a .stablehlo file go: inside it, or beside
            it, in NAME.safetensors.
        overwrite: Replace existing files.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    to: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    part: OptionalName = None
    parameters: Literal["inside", "beside"] = "inside"
    overwrite: bool = False

    def __call__(self) -> None:
        """Export."""
        from fdl.runs import exporting

        files = exporting.written(self.to, self.parameters)
        for file in files:
            if file.exists() and not self.overwrite:
                raise ValueError(
                    f"{file} already exists: use another name, or --overwrite."
                )
        run = fdl.load(self.run, model=self.model, task=self.task)
        if isinstance(run, fdl.runs.Run):
            run.export(self.to, part=self.part, parameters=self.parameters)
        elif isinstance(run, fdl.runs.ImportedModel):
            run.export(self.to)
        else:
            raise ValueError(
                f"{self.run} is an exported file already: pass a run folder."
            )
        out.print(f"written to {', '.join(map(str, files))}", soft_wrap=True)
