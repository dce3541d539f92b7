"""Read the facts of members that are trained together; without importing JAX."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from fdl.plain import Strategy
from fdl.runs.errors import RunError
from fdl.untrusted import MOST_JSON, parse_json
from fdl.weights import Declared, WeightsError, read_safetensors

Row = dict[str, Any]
"""A member after an epoch: its number, seed, settings and metrics."""

FACTS = "part"
"""The array of a file that is not part of the state, but the JSON of a `Part`."""

_NAME = re.compile(r"(\d{2})-(\d{6})-(\d{6})\.safetensors")
_NUMBERS = ("member", "configuration", "seed", "epoch", "diverged")
_MEASURED = ("train_", "validation_")
_MOST_MEMBERS = 10**6  # file names have six digits for them


class Part(NamedTuple):
    """The progress of members that are trained together.

    Attributes:
        round: The round of halving, from 0.
        members: Their indices.
        settings: A digest of their settings.
        epoch: Number of epochs that they have made.
        step: Number of updates that they have made, except for diverged members.
        over: Whether the round is finished.
        strategy: How they are combined into one program.
        size: Members in their chunk, including padding.
        seconds: Their training time.
        rows: Metrics of this round, by member and epoch.
    """

    round: int
    members: list[int]
    settings: str
    epoch: int
    step: int
    over: bool
    strategy: Strategy
    size: int
    seconds: float
    rows: list[Row]

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.round:02d}-{self.members[0]:06d}-{self.epoch:06d}.safetensors"


def part_files(folder: Path) -> dict[tuple[int, int], list[Path]]:
    """Return the files of each chunk, by its round and first member, the newest first.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("00-000004-000001", "00-000004-000002", "mine"):
        ...         Path(folder, f"{name}.safetensors").touch()
        ...     {k: [x.stem for x in v] for k, v in part_files(Path(folder)).items()}
        {(0, 4): ['00-000004-000002', '00-000004-000001']}
    """
    found: dict[tuple[int, int], list[Path]] = {}
    for file in sorted(folder.glob("*.safetensors"), reverse=True):
        if name := _NAME.fullmatch(file.name):
            found.setdefault((int(name[1]), int(name[2])), []).append(file)
    return found


def read_part(file: Path, count: int = _MOST_MEMBERS) -> Part:
    """Read the facts of a file's members, without their states.

    Args:
        file: The file.
        count: Number of members of the sweep.

    Raises:
        RunError: If it cannot be read, or its members are not those of such a sweep.
    """
    try:
        said = read_safetensors(file, _require_facts, only=FACTS)[FACTS]
        part = Part(**parse_json(said.tobytes()))
        first, *others = part.members
        measures: list[Any] = [part.seconds]
        numbers = [part.round, part.epoch, part.step, part.size, first, *others]
        for row in part.rows:
            numbers += [row[name] for name in _NUMBERS]
            measures += [x for name, x in row.items() if name.startswith(_MEASURED)]
        good = (
            all(type(number) is int for number in numbers)
            and {*part.members} == {row["member"] for row in part.rows}
            and part.name == file.name
            and 0 <= min(part.members) <= max(part.members) < count
            and type(part.settings) is str
            and part.strategy in get_args(Strategy)
            and all(type(x) is float for x in measures)
        )
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error) if isinstance(error, WeightsError) else repr(error)
        raise RunError(f"{file} is damaged: {reason}.") from error
    if not good:
        raise RunError(f"{file} is damaged: its members are not of this sweep.")
    return part


def _require_facts(arrays: Mapping[str, Declared]) -> None:
    found = arrays.get(FACTS)
    good = found is not None and found.dtype == "uint8" and len(found.shape) == 1
    if found is None or not good or found.shape[0] > MOST_JSON:
        raise WeightsError(f"it has no array {FACTS!r} of at most {MOST_JSON:,} bytes")
