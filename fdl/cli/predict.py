"""`fdl predict`."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import OfRun, err, out

_MOST_WARNINGS = 5


@dataclasses.dataclass(frozen=True)
class Predict(OfRun):
    """Tell what a trained run sees in images.

    Attributes:
        run: Folder of the run, or a .stablehlo file that `fdl export` wrote.
        files: PNG, JPEG, WebP, BMP, GIF, .npy or .npz files; any size is resized.
        polarity: What the files show; `auto` judges each image where the run's data
            are light on dark.
        fit: What to do with images of another size: `pad` shows all of an image on its
            background, `crop` its middle, and `digit` finds the digit in a photograph
            and frames it as MNIST does; `auto` is `digit` for runs on MNIST, else
            `pad`.
        json: Print a line of JSON for each image instead of a table.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    files: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILES...")
    ]
    polarity: Literal["auto", "light-on-dark", "dark-on-light"] = "auto"
    fit: Literal["auto", "pad", "crop", "digit"] = "auto"
    json: bool = False

    def check(self) -> None:
        """Refuse to predict nothing."""
        if not self.files:
            raise ValueError("there are no files to predict: give at least one.")

    def __call__(self) -> None:
        """Predict."""
        import numpy as np

        run = fdl.runs.load(self.run, model=self.model, task=self.task)
        if run.predicts != "classes":
            raise ValueError(
                f"{self.run} does not tell classes of images; `fdl eval` measures a "
                "run, and `fdl generate` shows what it makes."
            )
        images, names = [], []
        for file in self.files:
            found = fdl.data.read_images_like(
                file, run.info, polarity=self.polarity, fit=self.fit
            )
            images.append(found)
            one = len(found) == 1
            names += [str(file) if one else f"{file}[{i}]" for i in range(len(found))]
        inputs = np.concatenate(images)
        output = run.predict(inputs)
        finite = np.isfinite(output).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{self.run} answers {names[int(finite.argmin())]} with NaN: what it "
                "has learned is no use; train it again."
            )
        detector = run.novelty_detector if isinstance(run, fdl.runs.Run) else None
        novelty = None if detector is None else detector.novelty(inputs)
        if self.json:
            for k, (name, probabilities) in enumerate(zip(names, output, strict=True)):
                best = int(probabilities.argmax())
                line = {
                    "file": name,
                    "class": best,
                    "name": run.info.class_names[best],
                    "probabilities": [round(float(p), 6) for p in probabilities],
                }
                if detector is not None and novelty is not None:
                    line["novelty"] = round(float(novelty[k]), 4)
                    line["unlike_training"] = bool(novelty[k] > detector.threshold)
                print(json.dumps(line))
        else:
            out.print(_table(names, output, run.info.class_names))
        if detector is not None and novelty is not None:
            _warn(names, output, novelty, detector)


def _table(names: list[str], output: Any, class_names: Sequence[str]) -> Table:
    table = Table("file", "class", "probability", "second", "probability")
    for name, probabilities in zip(names, output, strict=True):
        cells = [name]
        for best in probabilities.argsort()[:-3:-1]:
            cells += [class_names[best], f"{probabilities[best]:.2%}"]
        table.add_row(*cells)
    return table


def _warn(
    names: list[str],
    output: Any,
    novelty: Any,
    detector: "fdl.data.NoveltyDetector",
) -> None:
    """Name the images that are unlike the training images, as far as they fit."""
    unlike = (novelty > detector.threshold).nonzero()[0]
    usual = f"{1 - detector.false_alarm_rate:.0%} of such images are"
    for k in unlike[:_MOST_WARNINGS]:
        err.print(
            f"warning: {names[k]} is unlike the images that the run was trained on "
            f"(novelty {novelty[k]:.3g}; {usual} below {detector.threshold:.3g}): its "
            f"{output[k].max():.2%} may mean nothing.",
            soft_wrap=True,
        )
    if len(unlike) > _MOST_WARNINGS:
        err.print(f"warning: so are {len(unlike) - _MOST_WARNINGS} others.")
