"""`fdl translate`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import tyro

import fdl
from fdl.cli.command import (
    OfRun,
    OptionalFormat,
    OptionalInt,
    OptionalPath,
    err,
    out,
    picture,
)

_DRAWN = 30  # alignments; more fit on no screen and take minutes


@dataclasses.dataclass(frozen=True)
class Translate(OfRun):
    """Translate with a run of seq2seq, attention or translator, one answer per line.

    Attributes:
        run: Run folder.
        sources: Sources to translate; quote those with spaces.
        file: UTF-8 text file with one source per line, or a .tsv, .jsonl or .csv file
            with the run's source column.
        beam: Number of hypotheses that the beam search keeps; 1 for greedy search.
        alpha: Length penalty: how much longer answers are favored; 0 ranks by
            probability alone.
        length: Most letters or words in an answer; those of the longest training target
            if not given.
        alignment: Picture to write, of what each word in the first 30 answers attended
            to; its extension sets the format.
        format: Format of the picture.
        json: Print a line of JSON for each source, with the answer's score.
        overwrite: Replace an existing picture.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    sources: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCES...")
    ] = ()
    file: OptionalPath = None
    beam: int = 5
    alpha: float = 0.6
    length: OptionalInt = None
    alignment: OptionalPath = None
    format: OptionalFormat = None
    json: bool = False
    overwrite: bool = False

    def validate(self) -> None:
        """Reject missing sources, numbers out of range, and a picture that exists."""
        if not self.sources and self.file is None:
            raise ValueError(
                "there is nothing to translate: pass sources, or a file with --file."
            )
        if self.beam < 1:
            raise ValueError(f"--beam {self.beam} must be at least 1.")
        if not self.alpha >= 0:
            raise ValueError(f"--alpha {self.alpha} must be at least 0.")
        if self.length is not None and self.length < 1:
            raise ValueError(f"--length {self.length} must be at least 1.")
        to = self._picture
        if to is not None and not to.parent.is_dir():
            raise ValueError(f"{to.parent} is not a folder: create it first.")
        if to is not None and to.exists() and not self.overwrite:
            raise ValueError(f"{to} already exists: use another name, or --overwrite.")

    @property
    def _picture(self) -> Path | None:
        return None if self.alignment is None else picture(self.alignment, self.format)

    def __call__(self) -> None:
        """Translate."""
        from fdl.tasks.translation import translate  # imports JAX; help does not

        run = fdl.runs.open_run(self.run, model=self.model, task=self.task)
        if run.predicts != "sequences":
            raise ValueError(
                f"{self.run} is a run of {run.config.task}, which does not translate: "
                "train seq2seq, attention or translator."
            )
        to, texts = self._picture, list(self.sources)
        if self.file is not None:
            texts += fdl.data.read_texts(self.file, run.info)
        found = translate(
            run,
            fdl.data.pairs.source_tokens(run.info, texts),
            beams=self.beam,
            alpha=self.alpha,
            length=self.length,
            alignments=to is not None,
        )
        for one in found:
            if not one.finished:
                err.print(
                    f"warning: the answer to {one.source!r} is cut off: allow a "
                    "longer one with --length.",
                    soft_wrap=True,
                )
            said: Any = one.answer
            if self.json:
                said = json.dumps(
                    {
                        "source": one.source,
                        "answer": one.answer,
                        "score": round(one.score, 4),
                        "finished": one.finished,
                    },
                    ensure_ascii=False,
                )
            out.print(said, soft_wrap=True)
        if to is not None:
            drawn = found[:_DRAWN]
            fdl.report.draw_alignments(
                to,
                [one.alignment for one in drawn],
                title=f"{self.run.name}: source across, answer down",
            )
            of = f": the first {_DRAWN} of {len(found):,} answers"
            err.print(f"written to {to}{of * (len(found) > _DRAWN)}", soft_wrap=True)
