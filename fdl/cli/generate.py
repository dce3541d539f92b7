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
    """Let a trained run make something: images, or texts.

    Attributes:
        run: Folder of the run.
        count: Number of images or texts; 64 images or 1 text if not given.
        seed: Source of all randomness.
        to: Picture, for images; its ending tells the format.
        format: Of the picture.
        overwrite: Replace the file if it is there.
        prompt: What a text begins with.
        length: Number of characters after the prompt.
        temperature: Below 1 for likelier texts, above 1 for stranger ones; 0 always
            takes the likeliest character.
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
    length: int = 500
    temperature: float = 1.0
    top_k: OptionalInt = None
    top_p: OptionalFloat = None

    def __call__(self) -> None:
        """Generate."""
        from fdl.arrays import as_key

        run = fdl.runs.open_run(self.run, model=self.model, task=self.task)
        images = run.task.generates == "images"
        to = picture(self.to, self.format)
        if images and to.exists() and not self.overwrite:
            raise ValueError(
                f"{to} is there already: give another name, or --overwrite."
            )
        sampling = fdl.tasks.Sampling(
            count=(64 if images else 1) if self.count is None else self.count,
            prompt=self.prompt,
            length=self.length,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        )
        made = run.generate(as_key(self.seed, "seed"), sampling)
        if not images:
            out.print(*made, sep="\n\n", soft_wrap=True)
            return
        fdl.report.draw_images(to, made)
        out.print(f"written to {to}", soft_wrap=True)
