"""The tutorials as notebooks: the same text, with its Python as cells that run."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4
from sphinx.application import Sphinx

_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"^!\[.*?\]\(.*?\)\n", re.MULTILINE)
_DIRECTIVE = re.compile(r"^```\{.*?^```\n", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^]]*)\]\((?!https?:)[^)]*\)")


def notebook(text: str) -> NotebookNode:
    """Return a page of Markdown as a notebook.

    Its Python becomes cells of code; all else is text. Commands stay text, since they
    go on from files that a reader has. Links, pictures and other parts of the site are
    left out: a notebook is read by itself.
    """
    for part in (_DIRECTIVE, _PICTURE):
        text = part.sub("", text)
    text = _LINK.sub(r"\1", text)
    cells = [
        (v4.new_code_cell if number % 2 else v4.new_markdown_cell)(
            part.strip("\n"), id=f"cell-{number}"
        )
        for number, part in enumerate(_CODE.split(text))
        if part.strip()
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.validate(made)
    return made


def offer(app: Sphinx, name: str, source: list[str]) -> None:
    """Write a tutorial as a notebook beside its page, and link to it."""
    if not name.startswith("tutorials/"):
        return
    file = Path(app.srcdir, f"{name}.ipynb")
    file.write_text(nbformat.writes(notebook(source[0])) + "\n", encoding="utf-8")
    title, rest = source[0].split("\n", 1)
    link = f"{{download}}`This page as a notebook <{file.name}>`"
    source[0] = f"{title}\n\n{link}\n{rest}"
