"""`fdl predict`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

import fdl
from fdl.cli.answers import Answers
from fdl.cli.command import OfRun, OptionalPath, err, out, unset

_MOST_WARNINGS = 5


@dataclasses.dataclass(frozen=True)
class Predict(OfRun):
    """Predict with a trained run: classes of images, rows or texts, or numbers.

    Attributes:
        run: Run folder, or a .stablehlo file written by `fdl export`.
        files: Images: PNG, JPEG, WebP, BMP, GIF, .npy or .npz files, or folders of
            pictures; any size is resized. Rows: .csv files with the columns of the
            training data, or .npy or .npz files. Texts: .csv or .jsonl files; any other
            file is one text.
        text: Text to classify.
        polarity: Whether images are light on dark or dark on light; `auto` decides for
            each image if the run's data are light on dark.
        fit: How to resize images of another size: `pad` keeps the whole image on its
            background, `crop` takes the middle, and `digit` finds the digit in a
            photograph and frames it as in MNIST; `auto` is `digit` for runs on MNIST
            and similar data, else `pad`.
        json: Print a line of JSON for each input instead of a table.
        to: CSV file to write, with a row for each input.
        overwrite: Replace an existing file.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    files: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILES...")
    ] = ()
    text: Annotated[str | None, tyro.conf.arg(metavar="TEXT"), unset("optional")] = None
    polarity: Literal["auto", "light-on-dark", "dark-on-light"] = "auto"
    fit: Literal["auto", "pad", "crop", "digit"] = "auto"
    json: bool = False
    to: OptionalPath = None
    overwrite: bool = False

    def validate(self) -> None:
        """Reject missing inputs, and an output file that exists."""
        if not self.files and self.text is None:
            raise ValueError("there are no files to predict: pass at least one.")
        if self.to is not None and self.to.exists() and not self.overwrite:
            raise ValueError(
                f"{self.to} already exists: use another name, or --overwrite."
            )

    def __call__(self) -> None:
        """Predict."""
        import numpy as np

        run = fdl.runs.load(self.run, model=self.model, task=self.task)
        if isinstance(run, fdl.runs.ImportedModel):
            raise ValueError(
                f"{self.run} is an imported Keras model, whose data are not known: "
                f"predict from Python, with fdl.load({str(self.run)!r}).predict(x)."
            )
        if run.predicts == "sequences":
            raise ValueError(f"{self.run} translates: use `fdl translate`.")
        if run.predicts not in ("classes", "numbers"):
            raise ValueError(
                f"{self.run} does not predict classes or numbers: use `fdl eval` or "
                "`fdl generate`."
            )
        found = self._inputs(run.info)
        inputs = np.concatenate([rows for _, rows in found])
        names = [
            file if len(rows) == 1 else f"{file}[{index}]"
            for file, rows in found
            for index in range(len(rows))
        ]
        output = run.predict(inputs)
        finite = np.isfinite(output).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"the prediction of {self.run} for {names[int(finite.argmin())]} is "
                "not finite: its weights are unusable; train it again."
            )
        detector = run.novelty_detector if isinstance(run, fdl.runs.Run) else None
        novelty = None if detector is None else detector.novelty(inputs)
        notes: dict[str, list[Any]] = {}
        if detector is not None and novelty is not None:
            notes = {
                "novelty": [round(float(one), 4) for one in novelty],
                "unlike_training": (novelty > detector.threshold).tolist(),
            }
        classes = run.predicts == "classes"
        answers = Answers(names, output, run.info.class_names, classes, notes)
        if self.to is not None:
            answers.write(self.to)
        if self.json:
            print(*answers.lines(), sep="\n")
        elif self.to is None:
            out.print(answers.table())
        else:
            out.print(f"written to {self.to}", soft_wrap=True)
        if detector is not None and novelty is not None:
            _warn(names, output, novelty, detector)

    def _inputs(self, info: "fdl.data.DatasetInfo") -> list[tuple[str, Any]]:
        """Return the inputs in each file, in the form that the run takes."""
        data = fdl.data
        if self.text is not None and info.kind != "document":
            raise ValueError(f"{self.run} does not take texts: pass files.")
        read = {
            "image": lambda file: data.read_images_like(
                file, info, polarity=self.polarity, fit=self.fit
            ),
            "document": lambda file: data.as_tokens(data.read_texts(file, info), info),
        }.get(info.kind, lambda file: data.read_rows(file, info))
        files = [one for file in self.files for one in _expanded(file)]
        for file in files:
            if info.kind == "document" and not file.exists():
                raise ValueError(f"there is no file {file}: pass a text with --text.")
        found = [(str(file), read(file)) for file in files]
        if self.text is not None:
            found.append((self.text, data.as_tokens([self.text], info)))
        return found


def _expanded(path: Path) -> list[Path]:
    """Return a file itself, or all pictures below a folder, sorted by path."""
    from fdl.data.pictures import SUFFIXES  # imports JAX, which help does not need

    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
    )
    if not found:
        raise ValueError(f"{path} contains no pictures.")
    return found


def _warn(
    names: list[str],
    output: Any,
    novelty: Any,
    detector: "fdl.data.NoveltyDetector",
) -> None:
    """Warn about the first few images that are unlike the training images."""
    unlike = (novelty > detector.threshold).nonzero()[0]
    usual = f"{1 - detector.false_alarm_rate:.0%} of such images are"
    for k in unlike[:_MOST_WARNINGS]:
        err.print(
            f"warning: {names[k]} is unlike the images that the run was trained on "
            f"(novelty {novelty[k]:.3g}; {usual} below {detector.threshold:.3g}): its "
            f"probability of {output[k].max():.2%} may mean nothing.",
            soft_wrap=True,
        )
    if len(unlike) > _MOST_WARNINGS:
        err.print(f"warning: so are {len(unlike) - _MOST_WARNINGS} others.")
