"""Pieces of music as piano rolls."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from matplotlib.figure import Figure

from fdl.report.backend import write_figure

_LOWEST, _C = 21, 12  # MIDI number of the lowest key; keys per octave


def draw_rolls(
    path: Path | str,
    rolls: Sequence[Shaped[np.ndarray, "time 88"]],
    titles: Sequence[str] = (),
    *,
    given: int = 0,
    title: str = "",
) -> None:
    """Write a picture of pieces, one below the other: time across, keys upwards.

    Args:
        path: The file to write.
        rolls: Which of a piano's 88 keys sound in each frame.
        titles: Title of each piece; empty for none.
        given: Number of frames at the beginning that were given, not generated.
        title: Title of the picture.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "roll.png"
        ...     draw_rolls(file, [np.eye(20, 88, k=40)], ["a scale"], title="scales")
        ...     file.read_bytes()[1:4]
        b'PNG'
    """
    height = 1.2 + 1.7 * len(rolls)
    figure = Figure(figsize=(8, height), layout="constrained")
    every = figure.subplots(len(rolls), squeeze=False, sharex=True)[:, 0]
    keys = np.flatnonzero(np.concatenate([*rolls]).any(axis=0))
    low, high = (keys[0], keys[-1]) if len(keys) else (27, 63)
    shown = slice(max(0, low - 2), high + 3)
    notes = np.arange(88)[shown] + _LOWEST
    ticks = notes[notes % _C == 0]
    for number, (axes, roll) in enumerate(zip(every, rolls, strict=True)):
        extent = (-0.5, len(roll) - 0.5, notes[0] - 0.5, notes[-1] + 0.5)
        axes.imshow(
            np.asarray(roll, float)[:, shown].T,
            cmap="Blues",
            vmin=0,
            vmax=1.2,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            extent=extent,
        )
        if 0 < given < len(roll):
            axes.axvspan(-0.5, given - 0.5, color="0.9", zorder=0.5, alpha=0.5)
            axes.axvline(given - 0.5, color="0.4", linewidth=0.8)
        axes.set_yticks(ticks, [f"C{note // _C - 1}" for note in ticks])
        if number < len(titles):
            axes.set_title(titles[number], fontsize=9, loc="left")
    every[-1].set_xlabel("Frame" + (f"; the first {given} were given" if given else ""))
    figure.suptitle(title, fontsize=10)
    write_figure(path, figure)
