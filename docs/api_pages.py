"""Reference pages: one for each package, with all of its public names."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from docs.signatures import shortened

PACKAGES = {
    "fdl": "Training and shared types",
    "fdl.models": "Models",
    "fdl.nn": "Layers",
    "fdl.nn.initializers": "Initializers",
    "fdl.losses": "Losses",
    "fdl.metrics": "Metrics",
    "fdl.learners": "Learners",
    "fdl.train": "The training loop",
    "fdl.data": "Data",
    "fdl.data.augment": "Augmentation",
    "fdl.data.pairs": "Pairs of texts",
    "fdl.processes": "Several processes",
    "fdl.runs": "Runs",
    "fdl.tasks": "Tasks",
    "fdl.keras": "Keras",
    "fdl.keras.schedules": "Keras' schedules",
    "fdl.keras.constraints": "Keras' constraints",
    "fdl.export": "Files for other programs",
    "fdl.report": "Pictures and pages",
    "fdl.ops": "Operations",
}


_HOMES: dict[int, str] = {}
"""Full name under which each class or function is documented, by its identity."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page, in reStructuredText.

    A name that several packages export is documented on the first page; the others
    link to it.
    """
    for package in PACKAGES:
        yield f"{package}.rst", "\n".join(_page(package))


def resolve(
    app: Sphinx, env: Any, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """Resolve a name that Sphinx does not know; return None if fdl does not have it.

    The name may be an alias from another package, a name without a page, or an
    expression.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("fdl."):
        return None
    if not all(part.isidentifier() for part in target.split(".")):
        return text
    try:
        value = pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
        return None
    home = _HOMES.get(id(value))
    if home is None or home == target:
        return text
    python = env.get_domain("py")
    found = python.resolve_xref(
        env, node["refdoc"], app.builder, "obj", home, node, text
    )
    return found or text


def _page(package: str) -> Iterator[str]:
    module = importlib.import_module(package)
    title = f"``{package}``: {PACKAGES[package][0].lower()}{PACKAGES[package][1:]}"
    yield from (title, "=" * len(title), "", f".. py:module:: {package}", "")
    yield from (inspect.cleandoc(module.__doc__ or ""), "")
    yield from (".. list-table::", "   :widths: 30 70", "")
    own = []
    for name in sorted(_public(module), key=str.lower):
        value, here = getattr(module, name), f"{package}.{name}"
        home = _HOMES.setdefault(id(value), here) if _is_code(value) else here
        yield f"   * - :py:obj:`{name} <{home}>`"
        yield f"     - {_first_line(value)}"
        own += [name] if home == here else []
    yield ""
    for name in own:
        yield from _entry(f"{package}.{name}", getattr(module, name))


def _public(module: Any) -> list[str]:
    own = "fdl." if hasattr(module, "__path__") else module.__name__
    named = getattr(module, "__all__", None) or [
        name
        for name in dir(module)
        if getattr(getattr(module, name), "__module__", "fdl.").startswith(own)
    ]
    is_module = lambda name: inspect.ismodule(getattr(module, name))
    return [name for name in named if name[0] != "_" and not is_module(name)]


def _is_code(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def _first_line(value: Any) -> str:
    if isinstance(value, functools.partial):
        return f"`{value.func.__name__}` with a fixed size."
    if not _is_code(value):
        return "A constant."
    return inspect.cleandoc(value.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _entry(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, functools.partial):
        told = shortened(", ".join(f"{k}={v!r}" for k, v in value.keywords.items()))
        yield from (f".. py:data:: {name}", "")
        yield f"   :py:obj:`{value.func.__name__}` with ``{told}``."
    elif inspect.isclass(value):
        yield from (f".. autoclass:: {name}", "   :members:")
        if issubclass(value, nn.Module) and "__call__" in vars(value):
            yield from ("", "   .. automethod:: __call__")
    elif inspect.isfunction(value):
        yield f".. autofunction:: {name}"
    else:
        yield f".. py:data:: {name}"
    yield ""
