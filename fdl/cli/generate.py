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
    """Generate images, texts or music with a trained run.

    Attributes:
        run: Run folder.
        count: Number of images, texts or pieces; 64 images or 1 of the others if not
            given.
        seed: Random seed.
        to: Picture to write, of images or music; its extension sets the format. Music
            is also written beside it, to MIDI files of the same name.
        format: Format of the picture.
        overwrite: Replace existing files.
        prompt: Beginning of a text, or a MIDI file that music continues.
        length: Number of characters or frames after the prompt; 500 characters or 128
            frames if not given.
        temperature: Below 1 for likelier texts and music, above 1 for more varied ones;
            0 always takes the likeliest.
        top_k: Sample only from this many of the likeliest characters.
        top_p: Sample only from the likeliest characters whose probabilities add up to
            this.
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
        if written and not to.parent.is_dir():
            raise ValueError(f"{to.parent} is not a folder: create it first.")
        for file in written:
            if file.exists() and not self.overwrite:
                raise ValueError(
                    f"{file} already exists: use another name, or --overwrite."
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
