"""Dates in many languages, each with its ISO 8601 form: generated, not published.

The package Babel supplies the formats of each language, from the Unicode Common Locale
Data Repository (CLDR). All-numeric formats are left out, other than that of ISO:
03/04/2021 is in March or in April, depending on the writer.
"""

import dataclasses
import datetime
import functools
import re
from pathlib import Path
from typing import Any

import numpy as np

from fdl.arrays import DataError
from fdl.data.dataset import Dataset
from fdl.data.own import Part
from fdl.data.pairing import assemble_pairs
from fdl.data.source import Source, Status

NAME = "dates"
"""Name of the dataset."""

COUNTS = {"train": 40_000, "validation": 2_000, "test": 4_000}
"""Number of pairs in each part."""

LANGUAGES = tuple(
    "bg ca cs cy da de el es et eu fi fr ga gl hr hu id is it ja ko lt lv ms mt nb nl "
    "pl pt ro ru sk sl sr sv sw tr uk vi zh".split()
)
"""Codes of the languages other than English."""

_ENGLISH = (
    "y-MM-dd",
    "d MMM y",
    "d MMMM y",
    "MMM d, y",
    "MMMM d, y",
    "EEE, d MMM y",
    "EEE, MMM d, y",
    "EEEE, d MMMM y",
    "EEEE, MMMM d, y",
)
_SHARE_OF_ENGLISH = 0.25
_SKELETONS = ("yMMMd", "yMMMEd", "yMMMMd", "yMMMMEd")  # of CLDR, one pattern each
_LENGTHS = ("medium", "long", "full")
_NAMED_MONTH = re.compile("MMM|LLL|M[月월]")
_FIRST, _LAST = datetime.date(1600, 1, 1), datetime.date(2399, 12, 31)
_TITLE = "dates in many languages"
_REMEDY = "install it with pip install 'fdl[dates]', or pip install babel"


@dataclasses.dataclass(frozen=True)
class Dates(Source):
    """The source of dates; no day occurs in two parts."""

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Generate the pairs, which are the same for the same version of Babel."""
        version = _babel().__version__
        return assemble_pairs(
            draw(),
            name=self.name,
            title=_TITLE,
            source=f"the package Babel {version}, generated with a fixed seed",
            columns=("date", "ISO"),
            units=("letters", "letters"),
            like=self.like,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Check whether Babel is installed."""
        report = functools.partial(
            Status, self.name, _TITLE, COUNTS["train"], COUNTS["test"]
        )
        try:
            return report(True, f"the package Babel {_babel().__version__}")
        except DataError:
            return report(False, _REMEDY)


def styles() -> dict[str, list[tuple[str, Any]]]:
    """Return the date patterns of each language in CLDR, each with its locale."""
    _babel()
    from babel import Locale

    found = {"en": [(pattern, Locale.parse("en")) for pattern in _ENGLISH]}
    for language in LANGUAGES:
        locale = Locale.parse(language)
        known = [locale.date_formats[length].pattern for length in _LENGTHS]
        more = locale.datetime_skeletons
        known += [more[name].pattern for name in _SKELETONS if name in more]
        named = filter(_NAMED_MONTH.search, dict.fromkeys(known))
        found[language] = [(pattern, locale) for pattern in named]
    return found


def draw() -> dict[str, Part]:
    """Return the three parts: texts, and the same dates in ISO 8601."""
    known = styles()
    random = np.random.default_rng(0).random  # stable across versions of NumPy
    days = np.argsort(random((_LAST - _FIRST).days + 1), kind="stable")
    parts, first = {}, 0
    for part, count in COUNTS.items():
        chosen = days[first : first + count].tolist()
        first += count
        dates = [_FIRST + datetime.timedelta(day) for day in chosen]
        texts = []
        for date, (english, which, how) in zip(
            dates, random((count, 3)).tolist(), strict=True
        ):
            is_english = english < _SHARE_OF_ENGLISH
            ways = known["en" if is_english else LANGUAGES[int(which * len(LANGUAGES))]]
            texts.append(write(date, *ways[int(how * len(ways))]))
        parts[part] = Part(texts, [date.isoformat() for date in dates])
    return parts


def write(date: datetime.date, pattern: str, locale: Any) -> str:
    """Format a date in a language, in lower case, with plain spaces only."""
    from babel.dates import parse_pattern

    return " ".join(parse_pattern(pattern).apply(date, locale).lower().split())


def _babel() -> Any:
    try:
        import babel
    except ImportError as error:
        raise DataError(f"{_TITLE} need the package Babel: {_REMEDY}.") from error
    return babel
