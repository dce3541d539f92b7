"""The options of a command that several processes share."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Annotated, Literal

import tyro

from fdl import processes
from fdl.cli.command import OptionalInt, Reporting, err, unset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joining(Reporting):
    """A command that several processes share.

    Attributes:
        coordinator: Where process 0 listens for the others, the same for all.
        processes: How many processes train together, each started by this command; auto
            to ask the cluster for it, and for the other two.
        process: Which of them this is, from 0.
    """

    coordinator: Annotated[
        str | None, tyro.conf.arg(metavar="HOST:PORT"), unset("optional")
    ] = None
    processes: Annotated[
        int | Literal["auto"] | None,
        tyro.conf.arg(metavar="N|auto"),
        unset("one if not given"),
    ] = None
    process: OptionalInt = None

    def validate(self) -> None:
        """Refuse options that do not go together."""
        super().validate()
        others = (self.coordinator, self.process)
        if self.processes == "auto":
            if others != (None, None):
                raise ValueError(
                    "--processes auto asks the cluster for --coordinator and "
                    "--process: leave them out."
                )
        elif len({self.processes is None, *(x is None for x in others)}) > 1:
            raise ValueError(
                "--coordinator, --processes and --process go together: give all three, "
                "or --processes auto on a cluster."
            )

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Make this process one of several, if it is to be."""
        if self.processes is None:
            yield
            return
        number = None if self.processes == "auto" else self.processes
        if number is not None and not self.quiet:
            err.print(
                f"process {self.process} of {self.processes}: waiting for the others "
                f"at {self.coordinator}",
                soft_wrap=True,
            )
        with processes.joined(
            self.coordinator, number, self.process, plainly=not self.debug
        ):
            if not (processes.is_first() or self.quiet):
                err.print("all have joined; process 0 says how it goes")
            yield
