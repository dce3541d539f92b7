"""Check a built site: `python docs/links.py build/site`.

Every link must lead to an existing page and anchor, every image must exist and have an
alternative text, and no page may load a script, a style or an image from another host.
"""

import functools
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links, loaded files and anchors of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.without_text: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the references of a tag."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "source") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.without_text.append(given.get("src", ""))


@functools.cache
def page(file: Path) -> Page:
    """Parse a page, once."""
    return Page(file)


def faults(file: Path) -> list[str]:
    """Return the faults of a page."""
    found = [f"{src}: has no alternative text" for src in page(file).without_text]
    for address in page(file).loads:
        if urlsplit(address).netloc:
            found.append(f"{address}: is loaded from another host")
    for address in page(file).links + page(file).loads:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = file if not parts.path else (file.parent / unquote(parts.path))
        target = target.resolve()
        if not target.exists():
            found.append(f"{address}: does not exist")
        elif parts.fragment and target.suffix == ".html":
            if unquote(parts.fragment) not in page(target).anchors | {"top"}:
                found.append(f"{address}: has no such anchor")
    return found


def main(site: Path) -> None:
    """Print the faults of a site; exit with 1 if there are any."""
    pages = sorted(path.resolve() for path in site.rglob("*.html"))
    wrong = [
        f"{file.relative_to(site.resolve())}: {fault}"
        for file in pages
        for fault in faults(file)
    ]
    print("\n".join(wrong) or f"{len(pages)} pages, no broken links")
    sys.exit(bool(wrong) or not pages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
