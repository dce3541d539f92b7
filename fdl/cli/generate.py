"""`fdl generate`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

import fdl
from fdl.cli.command import (
    OfRun,
    OptionalFloat,
    OptionalFormat,
    OptionalInt,
    out,
    picture,
)


@dataclasses.dataclass(frozen=True)
class Generate(OfRun):
    """Let a trained run make something: images, texts, or music.

    Attributes:
        run: Folder of the run.
        count: Number of images, texts or pieces; 64 images, 1 of others if not given.
        seed: Source of all randomness.
        to: Picture, of images and music; its ending tells the format. Pieces of music
            are beside it, in MIDI files of its name.
        format: Of the picture.
        overwrite: Replace the file if it is there.
        prompt: What a text begins with, or the MIDI file that music goes on from.
        length: Number of characters or frames after the prompt; 500 characters, 128
            frames if not given.
        temperature: Below 1 for likelier texts and music, above 1 for stranger ones; 0
            always takes the likeliest.
        top_k: Choose among the likeliest so many characters only.
        top_p: Choose among the likeliest characters that together have this
            probability.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    count: OptionalInt = None
    seed: int = 0
    to: Path = Path("samples")
    format: OptionalFormat = None
    overwrite: bool = False
    prompt: str = ""
    length: OptionalInt = None
    temperature: float = 1.0
    top_k: OptionalInt = None
    top_p: OptionalFloat = None

    def __call__(self) -> None:
        """Generate."""
        from fdl.arrays import as_key

        run = fdl.runs.open_run(self.run, model=self.model, task=self.task)
        kind = run.task.generates
        default = fdl.tasks.Sampling(
            count=64 if kind == "images" else 1, length=128 if kind == "music" else 500
        )
        count = default.count if self.count is None else self.count
        to = picture(self.to, self.format)
        pieces = [
            to.with_name(f"{to.stem}{'' if count == 1 else f'-{number}'}.mid")
            for number in range(1, count + 1)
        ]
        written = {"images": [to], "music": [to, *pieces]}.get(str(kind), [])
        for file in written:
            if file.exists() and not self.overwrite:
                raise ValueError(
                    f"{file} is there already: give another name, or --overwrite."
                )
        sampling = fdl.tasks.Sampling(
            count=count,
            prompt=self.prompt,
            length=default.length if self.length is None else self.length,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        )
        made = run.generate(as_key(self.seed, "seed"), sampling)
        if not written:
            out.print(*made, sep="\n\n", soft_wrap=True)
            return
        if kind == "images":
            fdl.report.draw_images(to, made)
        else:
            given = len(made[0]) - sampling.length
            fdl.report.draw_rolls(to, made, given=given, title=str(run.path))
            for file, piece in zip(pieces, made, strict=True):
                fdl.data.write_midi(file, piece)
        names = " and ".join(str(file) for file in written[:2])
        more = f", ... ({len(pieces)})" if len(written) > 2 else ""
        out.print(f"written to {names}{more}", soft_wrap=True)
