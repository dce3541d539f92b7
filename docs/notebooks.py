"""The tutorials with the outputs of their code: as pages, and as notebooks."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

OUTPUTS = Path(__file__).parents[1] / "bench" / "results" / "tutorials"
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"^!\[.*?\]\(.*?\)\n", re.MULTILINE)
_DIRECTIVE = re.compile(r"^```\{.*?^```\n", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^]]*)\]\((?!https?:)[^)]*\)")


def tutorials() -> list[Path]:
    """Return the tutorials that have code."""
    pages = sorted((Path(__file__).parent / "tutorials").glob("*.md"))
    return [page for page in pages if code(page)]


def code(page: Path) -> list[str]:
    """Return the code of a page, cell by cell."""
    return [part.rstrip() for part in _CODE.findall(page.read_text("utf-8"))]


def outputs(page: Path) -> dict[str, Any]:
    """Return the cells of a tutorial as they last ran, and what they ran on."""
    file = OUTPUTS / f"{page.stem}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else {"cells": []}


def page_with_outputs(page: Path) -> str:
    """Return the text of a tutorial, with outputs below its code."""
    text, ran = page.read_text("utf-8"), outputs(page)
    if not ran["cells"]:
        return text
    cells = iter(ran["cells"])
    text = _CODE.sub(lambda found: found[0] + _shown(next(cells)), text)
    return f"{text}\n*Outputs: `{ran['command']}`, {ran['date']}, {ran['device']}.*\n"


def notebook(page: Path) -> NotebookNode:
    """Return a page as a notebook.

    Its Python becomes code cells with their outputs; all else is text. Shell commands
    stay text, since they need files that readers have to provide. Links within the
    site, pictures and directives are left out, because a notebook is read by itself.
    """
    ran = iter(outputs(page)["cells"])
    cells = []
    for number, part in enumerate(_CODE.split(page.read_text("utf-8"))):
        name = f"cell-{number}"
        if number % 2:
            cell = v4.new_code_cell(part.rstrip(), id=name)
            cell.outputs = _outputs(next(ran, {"text": "", "picture": None}))
            cells.append(cell)
        elif part.strip():
            cells.append(v4.new_markdown_cell(_alone(part), id=name))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.validate(made)
    return made


def alternative(source: str) -> str:
    """Return what the picture of a cell shows: the comment that ends its last line."""
    return source.splitlines()[-1].partition("  # ")[2]


def _shown(cell: dict[str, Any]) -> str:
    text = f"\n\n```{{code-block}} text\n:class: output\n\n{cell['text']}```\n"
    file = f"../../bench/results/tutorials/{cell['picture']}"
    picture = f"\n\n![{alternative(cell['code'])}]({file})\n"
    return text * bool(cell["text"]) + picture * bool(cell["picture"])


def _outputs(cell: dict[str, Any]) -> list[NotebookNode]:
    made = []
    if cell["text"]:
        made.append(v4.new_output("stream", text=cell["text"]))
    if cell["picture"]:
        picture = base64.b64encode((OUTPUTS / cell["picture"]).read_bytes()).decode()
        made.append(v4.new_output("display_data", {"image/png": picture}))
    return made


def _alone(text: str) -> str:
    for part in (_DIRECTIVE, _PICTURE):
        text = part.sub("", text)
    return _LINK.sub(r"\1", text).strip()
