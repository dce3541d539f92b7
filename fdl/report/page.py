"""Self-contained HTML pages with tables and pictures."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from fdl.files import write_whole

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto;
       padding: 0 1em; color: #222; background: #fff; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
"""


def write_page(
    path: Path | str,
    title: str,
    facts: Mapping[str, str],
    tables: Mapping[str, Sequence[Mapping[str, str]]],
    pictures: Mapping[str, Path | str],
) -> None:
    """Write a self-contained HTML page.

    Args:
        path: The file to write.
        title: Heading of the page.
        facts: Values by name, shown as a table at the top.
        tables: Rows by heading; the first row determines the columns.
        pictures: PNG, SVG or PDF files by heading.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "report.html"
        ...     write_page(file, "A <b>", {"seeds": "3"}, {"All": [{"x": "1"}]}, {})
        ...     "A &lt;b&gt;" in file.read_text()
        True
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    parts += [_table([{"": name, " ": value} for name, value in facts.items()])]
    for heading, rows in tables.items():
        parts += [f"<h2>{html.escape(heading)}</h2>", _table(rows)]
    for heading, picture in pictures.items():
        parts += [f"<h2>{html.escape(heading)}</h2>", _shown(heading, Path(picture))]
    page = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>\n"
    )
    write_whole(path, (page + "\n".join(parts) + "\n</html>\n").encode())


def _shown(heading: str, picture: Path) -> str:
    kind = {".svg": "image/svg+xml", ".pdf": "application/pdf"}.get(
        picture.suffix, "image/png"
    )
    data = base64.b64encode(picture.read_bytes()).decode()
    source = f'"data:{kind};base64,{data}"'
    if picture.suffix == ".pdf":  # browsers show it in a frame of its own
        return f'<embed type="{kind}" width="100%" height="480" src={source}>'
    return f'<img alt="{html.escape(heading)}" src={source}>'


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return "<p>None.</p>"
    cells = lambda tag, texts: "".join(
        f"<{tag}>{html.escape(text)}</{tag}>" for text in texts
    )
    head = f"<tr>{cells('th', rows[0])}</tr>" if "".join(rows[0]).strip() else ""
    body = "\n".join(f"<tr>{cells('td', row.values())}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
