"""The pages of commands and tasks, generated from the command-line parser."""

import argparse
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import tyro

from fdl import tasks
from fdl.cli.command import registry
from fdl.cli.parse import _CONFIG, choices

importlib.import_module("fdl.cli.main")
_MAIN = sys.modules["fdl.cli.main"]  # `fdl.cli.main` is the function
_GOES_ON = {"train": ("Resume", "--resume RUN"), "sweep": ("ResumeSweep", "--run RUN")}
_OTHER = "text-classifier"  # a default that differs from `cnn`'s depends on the task

Actions = list[argparse.Action]


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page, in Markdown."""
    yield "commands.md", "\n".join(_commands())
    yield "tasks.md", "\n".join(_tasks())


def _commands() -> Iterator[str]:
    yield from ("# Commands", "", "`fdl COMMAND --help` prints the same. ")
    yield "[The command line](../how-to/command-line.md) describes their behavior."
    yield ""
    of_train: set[str] = set()
    for command, place in _MAIN._COMMANDS.items():
        yield from (f"## fdl {command}", "", place.about, "")
        kind = _MAIN._find(command).kind
        within = choices(kind)
        if "cnn" in within:
            shared = " the training options of `fdl train`," * bool(of_train)
            yield f"`fdl {command} TASK` takes the options of [the task](tasks.md),"
            yield f"{shared} and:".strip()
            yield ""
            options = _of_any_task(within)
            yield from _table([a for a in options if a.dest not in of_train])
            of_train |= {a.dest for a in options if "." in a.dest}
        elif within:
            for name, choice in within.items():
                about = choice.about or choice.kind.__doc__.partition("\n")[0]
                yield from (f"### fdl {command} {name}", "", about, "")
                yield from _table(_options(choice.kind))
        else:
            yield from _table(_options(kind))
        if command in _GOES_ON:
            name, words = _GOES_ON[command]
            yield from (f"### fdl {command} {words}", "")
            yield from _table(_options(getattr(sys.modules[place.module], name)))


def _of_any_task(within: Any) -> Actions:
    """Return the options that all tasks share; defaults only where they agree."""
    others = {a.dest: a.help for a in _options(within[_OTHER].kind)}
    found = [a for a in _options(within["cnn"].kind) if not a.dest.startswith("model.")]
    for action in found:
        if action.help != others.get(action.dest, action.help):
            action.help = action.help.rpartition(" (default: ")[0] + " (by task)"
    return found


def _tasks() -> Iterator[str]:
    yield from ("# Tasks", "", "The tasks of `fdl train`, `fdl sweep` and")
    yield "`fdl find-rate`, with the options of each in addition to the common options."
    yield ""
    within = choices(_MAIN._find("train").kind)
    for task in tasks.known():
        many, few = task.epochs
        epochs = f"{many}" if many == few else f"{many} ({few} for 4,000 examples)"
        rates = ", ".join(f"{x:g} ({name})" for name, x in task.learning_rates.items())
        yield from (f"## {task.name}", "", f"{task.title[0].upper()}{task.title[1:]}.")
        yield from (
            f"{task.paper[0].upper()}{task.paper[1:]}." if task.paper else "",
            "",
        )
        yield f"Data: {', '.join(task.takes)}; by default {task.dataset or 'none'}."
        yield f"Epochs: {epochs}. Batch size: {task.batch_size}."
        yield f"Learning rate: {rates}. Metric: `{task.metric}`."
        yield ""
        own = [a for a in _options(within[task.name].kind) if a.dest[:6] == "model."]
        yield from _table(own)


def _options(kind: Any) -> Actions:
    parser = tyro.extras.get_parser(kind, config=_CONFIG, registry=registry)
    return [action for action in parser._actions if action.dest != "help"]


def _table(actions: Actions) -> Iterator[str]:
    if not actions:
        return
    yield from ("| option | meaning |", "| --- | --- |")
    for action in actions:
        *others, last = action.option_strings or [""]
        value = "" if action.nargs == 0 else str(action.metavar)
        told = " ".join((action.help or "").split()).replace(" (optional)", "")
        named = [*others, f"{last} {value}".strip().replace("|", r"\|")]
        option = ", ".join(f"`{one}`" for one in named)
        yield f"| {option} | {told.replace('|', chr(92) + '|')} |"
    yield ""
