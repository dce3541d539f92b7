"""Outputs of the tutorials, as the site and the notebooks show them.

    pip install -e '.[bench,test,docs]'
    python -m bench.tutorials [NAME ...]

Runs the code of each tutorial in a Jupyter kernel, cell by cell, in an empty folder.
Writes what each cell printed, and its pictures, to bench/results/tutorials; the path
of the folder is left out. Without names, runs the tutorials whose code has
changed since.
"""

import base64
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import tyro
from nbclient import NotebookClient
from nbformat import NotebookNode

from docs.notebooks import OUTPUTS, alternative, code, notebook, outputs, tutorials
from fdl.runs.environment import made_with


def main(
    names: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")
    ] = (),
) -> None:
    """Run tutorials and write their outputs.

    Args:
        names: Names of tutorials, such as from-keras.
    """
    OUTPUTS.mkdir(exist_ok=True)
    known = [page.stem for page in tutorials()]
    if not set(names) <= set(known):
        raise ValueError(f"tutorials with code are {', '.join(known)}, not {names}.")
    for page in tutorials():
        changed = code(page) != [cell["code"] for cell in outputs(page)["cells"]]
        if page.stem in names or (changed and not names):
            print(page.stem, flush=True)
            record(page)


def record(page: Path) -> None:
    """Run a tutorial and write its outputs."""
    made = notebook(page)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(made, timeout=1200, resources=resources).execute()
    for old in OUTPUTS.glob(f"{page.stem}-*.png"):  # not before all has run
        old.unlink()
    cells = [cell for cell in made.cells if cell.cell_type == "code"]
    result = {
        "command": f"python -m bench.tutorials {page.stem}",
        **made_with(),
        "cells": [
            {"code": cell.source, **_kept(cell, f"{page.stem}-{number}.png")}
            for number, cell in enumerate(cells)
        ],
    }
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    text = text.replace(f"{folder}/", "")
    (OUTPUTS / f"{page.stem}.json").write_text(text, "utf-8")


def _kept(cell: NotebookNode, file: str) -> dict[str, Any]:
    """Return what a cell printed, and write its picture, of which it has at most one.

    Warnings and progress, which go to stderr, are left out.
    """
    text, picture = "", None
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            text += output.text
        elif output.output_type == "execute_result" and "image/png" in output.data:
            if not alternative(cell.source):
                raise ValueError(f"Say what this picture shows: {cell.source}")
            (OUTPUTS / file).write_bytes(base64.b64decode(output.data["image/png"]))
            picture = file
        elif output.output_type == "execute_result":
            text += output.data["text/plain"] + "\n"
    return {"text": text, "picture": picture}


if __name__ == "__main__":
    tyro.cli(main)
