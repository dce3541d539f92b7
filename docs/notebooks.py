"""The tutorials as notebooks: the same text, with its Python as cells that run."""

import re

import nbformat
from nbformat import NotebookNode, v4

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
    cells = [
        v4.new_code_cell(part.rstrip(), id=f"cell-{number}")
        if number % 2
        else v4.new_markdown_cell(_alone(part), id=f"cell-{number}")
        for number, part in enumerate(_CODE.split(text))
        if part.strip()
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.validate(made)
    return made


def _alone(text: str) -> str:
    for part in (_DIRECTIVE, _PICTURE):
        text = part.sub("", text)
    return _LINK.sub(r"\1", text).strip()
