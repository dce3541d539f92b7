"""Matplotlib without windows: figures go to files."""

import contextlib
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from fdl.files import write_whole
from fdl.pixels import picture_file


def _import_matplotlib() -> None:
    """Import matplotlib, whatever `MPLBACKEND` says.

    A command that a notebook starts inherits the notebook's backend, which need not be
    installed where the command runs; matplotlib cannot be imported then. Figures that
    go to files need no backend.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # for the program's own pictures


_import_matplotlib()


def write_figure(path: Path | str, figure: Any) -> None:
    """Write a matplotlib figure to a file, whole or not at all.

    Args:
        path: The file; its extension is the format, `.png`, `.svg` or `.pdf`.
        figure: A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the extension is another one.

    Example:
        >>> import tempfile
        >>> from matplotlib.figure import Figure
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "empty.pdf"
        ...     write_figure(file, Figure())
        ...     file.read_bytes()[:4]
        b'%PDF'
    """
    content = io.BytesIO()
    path = picture_file(path)
    with warnings.catch_warnings():
        # Letters that no installed font has become boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(content, format=path.suffix[1:], dpi=150)
    write_whole(path, content.getbuffer())
