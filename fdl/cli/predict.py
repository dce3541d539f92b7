"""`fdl predict`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.table import Table

from fdl import data, runs
from fdl.cli.command import OfRun, out


@dataclasses.dataclass(frozen=True)
class Predict(OfRun):
    """Tell what a trained run sees in images.

    Attributes:
        run: Folder of the run, or a .stablehlo file that `fdl export` wrote.
        files: PNG, JPEG, WebP, BMP, GIF, .npy or .npz files; any size is resized.
        polarity: What the files show; `auto` judges by the corners of each image.
        json: Print a line of JSON for each image instead of a table.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    files: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILES...")
    ]
    polarity: data.Polarity = "auto"
    json: bool = False

    def __call__(self) -> None:
        """Predict."""
        if not self.files:
            raise data.DataError("there are no files to predict: give at least one.")
        run = runs.load(self.run, model=self.model, task=self.task)
        if run.predicts != "classes":
            raise ValueError(
                f"{self.run} does not tell classes of images; `fdl eval` measures a "
                "run, and `fdl generate` shows what it makes."
            )
        images, names = [], []
        for file in self.files:
            found = data.read_images(file, run.info.input_shape, polarity=self.polarity)
            images.append(found)
            one = len(found) == 1
            names += [str(file) if one else f"{file}[{i}]" for i in range(len(found))]
        output = run.predict(np.concatenate(images))
        if self.json:
            for name, probabilities in zip(names, output, strict=True):
                best = int(probabilities.argmax())
                line = {
                    "file": name,
                    "class": best,
                    "name": run.info.class_names[best],
                    "probabilities": [round(float(p), 6) for p in probabilities],
                }
                print(json.dumps(line))
            return
        table = Table("file", "class", "probability", "second", "probability")
        for name, probabilities in zip(names, output, strict=True):
            cells = [name]
            for best in np.argsort(probabilities)[:-3:-1]:
                cells += [run.info.class_names[best], f"{probabilities[best]:.2%}"]
            table.add_row(*cells)
        out.print(table)
