"""Progress of a training, on standard error."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fdl.cli.command import err

HEARTBEAT = 30.0
"""Seconds of silence, without a terminal, after which a line reports progress."""


class Voice:
    """Lines on the terminal and, without one, the progress after some silence."""

    def __init__(self, now: Callable[[], str], *, quiet: bool) -> None:
        """Print nothing yet, and nothing at all if `quiet`.

        Args:
            now: Returns the progress so far.
            quiet: Whether to print nothing.
        """
        self._now, self.quiet = now, quiet
        self._begun = self._said = time.monotonic()
        self._over = threading.Event()
        self._beating: threading.Thread | None = None

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        self._said = time.monotonic()
        if not self.quiet:
            err.print(line, soft_wrap=True)

    def start(self) -> None:
        """Start to report progress after silence."""
        if not self.quiet and not err.is_terminal:
            self._beating = threading.Thread(target=self._beat, daemon=True)
            self._beating.start()

    def stop(self) -> None:
        """Stop; nothing is printed after this returns."""
        self._over.set()
        if self._beating is not None:
            self._beating.join()

    def _beat(self) -> None:
        while not self._over.wait(self._said + HEARTBEAT - time.monotonic()):
            if time.monotonic() - self._said >= HEARTBEAT:
                seconds = time.monotonic() - self._begun
                self.say(f"{self._now()}  after {seconds:.0f} s")


class TrainingProgress:
    """A line when training starts and after each epoch, and a bar in between.

    Without a terminal, a line every half minute takes the place of the bar.
    """

    def __init__(self, quiet: bool = False) -> None:
        """Print nothing yet, and nothing at all if `quiet`."""
        self.plan: Any = None
        self._now = "compiling"
        self._voice = Voice(lambda: self._now, quiet=quiet)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
        )

    def __enter__(self) -> "TrainingProgress":
        """Return the progress."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; the bar stays on the screen."""
        self._voice.stop()
        if self._progress.live.is_started:
            self._progress.stop()

    def on_start(self, plan: Any) -> None:
        """Print what is trained, and where it is saved; see `fdl.runs.Plan`."""
        self.plan, info, config = plan, plan.info, plan.config
        held_out = f"{info.validation_count:,} to validate, "
        self._voice.say(
            f"{plan.path}: {config.task} on {info.name}, {info.train_count:,} examples "
            f"to train on, {held_out if info.validation_count else ''}"
            f"{info.test_count:,} to test, {plan.parameters:,} parameters"
        )
        for line in _beginning(plan):
            self._voice.say(line)
        self._every = plan.steps * config.epochs
        self._voice.start()
        if err.is_terminal and not self._voice.quiet:
            self._bar = self._progress.add_task(
                f"{config.task}-{info.name}",
                total=self._every,
                completed=plan.made,
                note="compiling",
            )
            self._progress.start()

    def on_chunk(self, step: int, metrics: dict[str, float], state: Any) -> None:
        """Move the bar."""
        note = f"loss {metrics['loss']:.4f}" if "loss" in metrics else ""
        self._now = f"step {step:,} of {self._every:,}  {note}"
        self._move(completed=step, note=note)

    def on_epoch(self, line: Any, state: Any) -> None:
        """Print an epoch's line; see `fdl.train.Epoch`."""
        measured = [f"train {name} {value:.4f}" for name, value in line.train.items()]
        measured += [
            f"validation {name} {value:.4f}" for name, value in line.validation.items()
        ]
        self._voice.say(
            f"epoch {line.epoch}/{self.plan.config.epochs}  "
            f"step {line.step}/{self._every}  {'  '.join(measured)}"
            f"  {line.seconds:.1f} s"
        )

    def on_finish(self) -> None:
        """Announce the last part: evaluation and pictures."""
        self._now = "evaluating on the test set and drawing pictures"
        self._voice.say(self._now)
        if self._progress.live.is_started:
            self._bar = self._progress.add_task("finishing", total=None, note="")

    def _move(self, **fields: Any) -> None:
        if self._progress.live.is_started:
            self._progress.update(self._bar, **fields)


def _beginning(plan: Any) -> Iterator[str]:
    """Yield lines about initial weights and frozen parameters, if there are any."""
    if plan.init_from is not None and not plan.made:
        names = ", ".join(plan.newly_initialized) or "nothing"
        yield f"weights from {plan.init_from}; initialized at random: {names}"
    if plan.kept:
        trained = plan.parameters - plan.kept
        yield f"{plan.kept:,} parameters are frozen, {trained:,} are trained"
