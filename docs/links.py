"""Check a built site: `python docs/links.py build/site`.

Every link leads to a page and a place on it, every picture is there and has an
alternative text, and no page asks another host for a script, a style or a picture.
"""

import functools
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to by."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.untold: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "source") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.untold.append(given.get("src", ""))


@functools.cache
def page(file: Path) -> Page:
    """Return what a page says; pages are read once."""
    return Page(file)


def faults(file: Path) -> list[str]:
    """Return what is wrong with a page."""
    found = [f"{src}: has no alternative text" for src in page(file).untold]
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
            found.append(f"{address}: is not there")
        elif parts.fragment and target.suffix == ".html":
            if unquote(parts.fragment) not in page(target).places | {"top"}:
                found.append(f"{address}: has no such place")
    return found


def main(site: Path) -> None:
    """Print what is wrong with a site; exit with 1 if anything is."""
    pages = sorted(path.resolve() for path in site.rglob("*.html"))
    wrong = [
        f"{file.relative_to(site.resolve())}: {fault}"
        for file in pages
        for fault in faults(file)
    ]
    print("\n".join(wrong) or f"{len(pages)} pages, all links lead somewhere")
    sys.exit(bool(wrong) or not pages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
