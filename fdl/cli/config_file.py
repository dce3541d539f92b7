"""Settings of a command line from a TOML file, or from a run's `config.json`."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fdl.cli.parse import UsageError, choices, options
from fdl.plain import unknown
from fdl.untrusted import parse_json, read_text, require_shallow

OPTION = "--config"


def with_file(words: Sequence[str], kind: Any) -> list[str]:
    """Replace `--config FILE` among words with options for the settings in the file.

    They come first, so that other options override them. The file may name the task.

    Args:
        words: A task, if any, and options.
        kind: The commands for all tasks, as a union, or that for the user's own task.

    Raises:
        UsageError: If the file cannot be read, or has an unknown setting.
    """
    file, words = _without_option(list(words))
    content = _read(file)
    named = words.pop(0) if words and not words[0].startswith("-") else None
    task, tasks = content.pop("task", named), choices(kind)
    if tasks:
        if named not in (None, task):
            raise UsageError(f"{file} is for task {task!r}, not for {named!r}.")
        if task is None:
            raise UsageError(f"{file} does not name a task: pass one before {OPTION}.")
        if task not in tasks:
            raise UsageError(f"{file}: {unknown('task', str(task), tasks)}")
        kind = tasks[task].kind
    every = options(kind)
    known = {
        name.removeprefix("--").replace("-", "_"): name
        for name in every
        if not name.startswith("--no-") and name not in (OPTION, "--debug")
    }
    # The config.json of a run also has records, which are not settings.
    if {"data", "versions"} <= content.keys():
        content = {name: value for name, value in content.items() if name in known}
    said: list[str] = []
    for name, value in content.items():
        if name not in known:
            raise UsageError(f"{file}: {unknown('setting', name, known)}")
        if f"--no-{known[name][2:]}" in every and not isinstance(value, bool):
            raise UsageError(f"{file}: {name} = {value!r} must be true or false.")
        said += _words(known[name], value)
    return [*([task] if tasks else []), *said, *words]


def _without_option(words: list[str]) -> tuple[Path, list[str]]:
    at = next(i for i, word in enumerate(words) if word.split("=")[0] == OPTION)
    _, sign, name = words[at].partition("=")
    rest = words[at + 1 :] if sign else words[at + 2 :]
    if not sign:
        name = words[at + 1] if at + 1 < len(words) else ""
    if not name or name.startswith("-"):
        raise UsageError(f"{OPTION} needs a value: a TOML file or a config.json.")
    return Path(name), words[:at] + rest


def _read(file: Path) -> dict[str, Any]:
    try:
        text = read_text(file)
        content = parse_json(text) if file.suffix == ".json" else _parse_toml(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{file} does not contain settings by name.")
    return _flat(content)


def _parse_toml(text: str) -> Any:
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    require_shallow(content)
    return content


_RECORDS = ("data", "versions", "environment", "sweep")
"""Tables of a run's `config.json` that are not settings."""


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name, including those in tables such as `options`."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        name = name.replace("-", "_")
        table = isinstance(value, dict) and name not in _RECORDS
        found |= _flat(value) if table else {name: value}
    return found


def _words(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if value is None:  # only the validation share can be none
        return [option, "none"] if option == "--validation" else []
    values = value if isinstance(value, list) else [value]
    return [option, *map(str, values)]
