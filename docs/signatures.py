"""Readable signatures: arrays by their shapes, names without modules."""

import re
from collections import _tuplegetter
from typing import Any

from docutils import nodes
from sphinx.domains.python import PyXRefRole

_ARRAY = r"(?:jaxlib\._jax\.)?Array"

_SHORTER = [
    # Modules before class names; fdl's stay, hidden, for links.
    (r"(?<![\w.'])~?(?!fdl\.)(?:[a-z_]\w*\.)+(?=[A-Z_]\w*)", ""),
    (r"(?<![\w.'~])(?=fdl\.(?:\w+\.)*[A-Z])", "~"),
    (r"~?\bnumpy\.(?=ndarray|integer|dtype)", ""),
    (r"str \| type\[Any\] \| dtype \| SupportsDType(?: \| Any)?", "Dtype"),
    (r"~?\bfdl\.plain\.Scalar\b", "Scalar"),
    # Float[Array, "n"] | Float[ndarray, "n"]: an array on the host or on a device.
    (r"(\w+)\[Array, ('[^']*')\] \| \1\[ndarray, \2\]", r"\1[\2]"),
    (r"(\w+)\[Array, ('[^']*')\]", r"\1[\2]"),
    (r"\bArray \| ndarray\b", "Array"),
    (r"int \| integer \| Shaped\['\.\.\.'\]", "Seed"),
    (r"Seed \| Sequence\[Seed\]", "Seeds"),
    (r"float \| Scalar\b", "Number"),
    (r"Key\[''\]", "Key"),
    # Fields of every Linen module.
    (r"(?:, )?parent: Module \| Scope \| _Sentinel \| None = <[^>]*>", ""),
    (r"(?:, )?name: str \| None = None(?=\)$)", ""),
    # Modules as defaults.
    (r"\(\s*# attributes\s*", "("),
    (r"\s+\)", ")"),
    (r"(?<=\)) {2,}(?=\w)", ", "),
    (r"\s+", " "),
    (r"0\.16666666666666666", "1/6"),
    (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
    (r"mappingproxy\(\{\}\)", "{}"),
    (r"<lambda>", "lambda"),
    (r"<function (?:\w+\.)*(\w+)(?: at 0x\w+)?>", r"\1"),
    (r"<[^<>]*>", "..."),  # any other object without a name
]


def shorten(
    app: Any,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Return a shortened signature and return annotation."""
    return shortened(signature), shortened(returned)


def skip(
    app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any
) -> bool | None:
    """Skip fields of named tuples, which their class documents, and `setup`."""
    return True if isinstance(obj, _tuplegetter) or name == "setup" else None


class Name(PyXRefRole):
    """The role of single backticks in docstrings: code, and links to names of fdl."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return a link for `fdl.NAME`, and a literal for anything else."""
        if not re.fullmatch(r"fdl(\.\w+)+", self.text):
            return [nodes.literal(self.rawtext, self.text)], []
        self.name = "py:obj"
        return super().run()


def shortened(text: str | None) -> str | None:
    """Shorten a signature or a part of one."""
    for pattern, shorter in _SHORTER if text else ():
        text = re.sub(pattern, shorter, text)
    return text
