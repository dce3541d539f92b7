"""Shell completion: Tyro writes the scripts; the one for fish needs a change."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from fdl.cli.parse import COMPLETION, UsageError, read
from fdl.files import expanded, write_whole

_PRINT, _WRITE = f"{COMPLETION}print-completion", f"{COMPLETION}write-completion"
_SHELLS = ("bash", "zsh", "fish")

# The code of all commands exceeds the length of one argument of a program.
_AS_WORD = '($python_cmd -c "$pycode" $words $current)'
_AS_INPUT = '(printf "%s" "$pycode" | $python_cmd - $words $current)'


def complete(words: Sequence[str], kind: Any) -> None:
    """Print a completion script, or write it to a file.

    Args:
        words: `--tyro-print-completion SHELL` or `--tyro-write-completion SHELL FILE`.
        kind: All commands, as a union.

    Raises:
        UsageError: If the words are not of this form.
    """
    option, _, value = words[0].partition("=")
    if option not in (_PRINT, _WRITE):
        raise UsageError(f"there is no option {option}: use {_PRINT} or {_WRITE}.")
    rest = [*filter(None, [value]), *words[1:]]
    wanted = 2 if option == _WRITE else 1
    if len(rest) != wanted or rest[0] not in _SHELLS:
        file = " and a file" if wanted == 2 else ""
        raise UsageError(f"{option} needs one of {', '.join(_SHELLS)}{file}.")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        read("fdl", [_PRINT, rest[0]], kind)
    script = printed.getvalue().replace(_AS_WORD, _AS_INPUT)
    if wanted == 1:
        print(script, end="")
        return
    file = expanded(rest[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, script.encode())
