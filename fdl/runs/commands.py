"""The command that repeats a sweep."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fdl.runs.settings import configure, settings
from fdl.runs.space import Range
from fdl.tasks import Config


def sweep_command(
    config: Config,
    *,
    grid: Mapping[str, Sequence[Any]],
    ranges: Mapping[str, Range],
    samples: int | None,
    seeds: int,
    halving: bool,
) -> str:
    """Return the command line that repeats a sweep; see `fdl.runs.sweep`.

    Example:
        >>> sweep_command(
        ...     configure("mlp", epochs=2),
        ...     grid={"batch_size": [32, 64]},
        ...     ranges={"learning_rate": Range(1e-4, 1e-2, log=True)},
        ...     samples=8,
        ...     seeds=3,
        ...     halving=False,
        ... )  # doctest: +NORMALIZE_WHITESPACE
        'fdl sweep mlp --dataset mnist --epochs 2 --grid batch-size=32,64
        --random learning-rate=log:0.0001:0.01 --samples 8 --seeds 3'
    """
    words = ["fdl", "sweep", config.task, "--dataset", config.dataset]
    usual = settings(configure(config.task, dataset=config.dataset))
    for name, value in settings(config).items():
        if value == usual[name] or name in grid or name in ranges:
            continue
        if isinstance(value, bool):
            words.append(_flag(name if value else f"no_{name}"))
        else:
            words += [_flag(name), _word(value)]
    if config.seed:
        words += ["--seed", str(config.seed)]
    if config.validation is None:
        words += ["--validation", "none"]
    if grid:
        words.append("--grid")
        words += [f"{_dashed(k)}={','.join(map(_word, x))}" for k, x in grid.items()]
    if ranges:
        words.append("--random")
        for name, one in ranges.items():
            kind = "log" if one.log else "lin"
            words.append(f"{_dashed(name)}={kind}:{one.low:g}:{one.high:g}")
    if samples is not None and ranges:
        words += ["--samples", str(samples)]
    if seeds > 1:
        words += ["--seeds", str(seeds)]
    return shlex.join(words + ["--halving"] * halving)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _flag(name: str) -> str:
    return f"--{_dashed(name)}"


def _word(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
