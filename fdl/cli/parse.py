"""Parse the words of a command line into a command, with one-line errors."""

import contextlib
import dataclasses
import io
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import tyro

from fdl.cli.command import Command, registry
from fdl.plain import nearest, unknown

_CONFIG = (
    tyro.conf.DisallowNone,
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
)


COMPLETION = "--tyro-"
"""Prefix of the options that print or write shell completion."""


class UsageError(ValueError):
    """A command line that cannot be parsed; the message says why, and what works."""


class Choice(NamedTuple):
    """A command, or a group of them.

    Attributes:
        about: One-line description.
        kind: A subclass of `Command`, or a union of named subclasses.
    """

    about: str
    kind: Any


def read(
    prog: str, words: Sequence[str], kind: Any, about: str | None = None
) -> Command:
    """Parse words into a command.

    Args:
        prog: The program and subcommands that precede the words.
        words: The words.
        kind: As in `Choice`.
        about: Description for the help; None for the command's docstring.

    Raises:
        SystemExit: With 0, after printing the requested help.
        UsageError: If the words cannot be parsed.
    """
    within, first = choices(kind), words[0] if words else ""
    if within and not first.startswith(COMPLETION):
        if first in within:
            chosen = within[first]
            return read(f"{prog} {first}", words[1:], chosen.kind, chosen.about)
        if first not in ("-h", "--help"):
            raise UsageError(_no_choice(prog, first, within))
        kind = union({name: Choice(one.about, None) for name, one in within.items()})
    elif not within:
        _require_options(prog, words, kind)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=prog,
                description=about,
                args=words,
                registry=registry,
                config=_CONFIG,
            )
    except SystemExit as exit:
        if exit.code in (0, None):
            raise
        raise UsageError(_plain(prog, complaint.getvalue())) from None


def choices(kind: Any) -> Mapping[str, Choice]:
    """Return the commands of a union by name; an empty mapping for one command."""
    found = {}
    for one in typing.get_args(kind) if not isinstance(kind, type) else ():
        inner, said = typing.get_args(one)
        found[said.name] = Choice(said.description, inner)
    return found


def union(named: Mapping[str, Choice]) -> Any:
    """Return a union of commands; those whose kind is None are empty, for help."""
    made: Any = None
    for name, choice in named.items():
        kind = choice.kind
        if kind is None:
            kind = dataclasses.make_dataclass(name, [], bases=(Command,), frozen=True)
        elif choices(kind):
            group = [("command", kind, dataclasses.field())]
            kind = dataclasses.make_dataclass(name, group, frozen=True)
        about = tyro.conf.subcommand(name, description=choice.about)
        one = Annotated[kind, about]
        made = one if made is None else made | one
    return made


def _no_choice(prog: str, word: str, known: Mapping[str, Choice]) -> str:
    kind = "task" if "cnn" in known else "command"
    if word.startswith("-"):
        return f"give a {kind} before options such as {word}; see {prog} --help."
    if word:
        return unknown(kind, word, known)
    return f"expected one of {{{', '.join(known)}}}; see {prog} --help."


def options(kind: Any) -> dict[str, Any]:
    """Return the type of each option of a command, by name.

    Example:
        >>> from fdl.cli.eval import Eval
        >>> list(options(Eval))
        ['--debug', '--no-debug', '--model', '--task', '--dataset', '--data-dir']
    """
    found = {}
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        inner, *said = typing.get_args(hints[field.name]) or (hints[field.name],)
        if tyro.conf.Suppress in said or tyro.conf.Positional in said:
            continue
        if dataclasses.is_dataclass(inner):
            found |= options(inner)
        else:
            name = field.name.replace("_", "-")
            found[f"--{name}"] = hints[field.name]
            if inner is bool:
                found[f"--no-{name}"] = inner
    return found


def _require_options(prog: str, words: Sequence[str], kind: Any) -> None:
    """Raise UsageError for an option that the command does not have."""
    known = [
        *options(kind),
        "--help",
        "--tyro-print-completion",
        "--tyro-write-completion",
    ]
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name != "--" and name not in known:
            near = nearest(name, known)
            guess = "." if near is None else f"; did you mean {near}?"
            if kind.resumes is not None:
                guess = f": a resumed {kind.resumes} keeps its settings."
            raise UsageError(f"there is no option {name}{guess} See {prog} --help.")


def _plain(prog: str, box: str) -> str:
    """Return the text of a boxed error message of Tyro as one line."""
    text = " ".join(re.sub(r"[─-╿•]|-{3,}", " ", box).split())
    see = f"See {prog} --help."
    choice = re.search(r"choice '(.*)' for argument '(.*)'\. .* \((.*?),?\)", text)
    if choice:
        word, name, listed = choice.groups()
        known = re.findall(r"'(.*?)'", listed)
        return f"{name}: {unknown('choice', word, known)}"
    for pattern, reply in (
        (
            r"Missing value for argument '(.*)'\. Expected ([2-9]) values\.",
            "{} needs {} values.",
        ),
        (r"Missing value for argument '(.*)'\.", "{} needs a value."),
        (r"Missing from .*?: (\S+)", "{} is missing."),
        (
            r"Error parsing (?:model: )?(.*?): Could not find valid parse for "
            r"arguments: \[(.*?)\]",
            "{} does not take {}.",
        ),
        (r"Unrecognized options: (.*?) For full", "unexpected argument {!r}."),
        (r"Error parsing (?:model: )?(.*?)\.? (?:Argument helptext|For full)", "{}."),
    ):
        if found := re.search(pattern, text):
            return f"{reply.format(*found.groups())} {see}"
    return text
