"""Options of a command that several processes run together."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Annotated, Literal

import tyro

from fdl import processes
from fdl.cli.command import OptionalInt, Reporting, err, unset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Joining(Reporting):
    """A command that several processes run together.

    Attributes:
        coordinator: Address where process 0 listens for the others, the same for all.
        processes: Number of processes that train together, each started by this
            command; auto to get this and the other two options from the cluster.
        process: Index of this process, from 0.
    """

    coordinator: Annotated[
        str | None, tyro.conf.arg(metavar="HOST:PORT"), unset("optional")
    ] = None
    processes: Annotated[
        int | Literal["auto"] | None,
        tyro.conf.arg(metavar="N|auto"),
        unset("default: one"),
    ] = None
    process: OptionalInt = None

    def validate(self) -> None:
        """Reject options that do not go together."""
        super().validate()
        others = (self.coordinator, self.process)
        if self.processes == "auto":
            if others != (None, None):
                raise ValueError(
                    "--processes auto gets --coordinator and --process from the "
                    "cluster: leave them out."
                )
        elif len({self.processes is None, *(x is None for x in others)}) > 1:
            raise ValueError(
                "--coordinator, --processes and --process go together: pass all three, "
                "or --processes auto on a cluster."
            )

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Join the other processes, if there are any."""
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
                err.print("all processes have joined; process 0 reports progress")
            yield
