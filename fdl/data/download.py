"""Downloading the four original files; without a network it gives up in seconds."""

import logging
import os
import threading
import urllib.error
import urllib.request

from fdl.arrays import DataError
from fdl.data import cache, idx
from fdl.data.catalog import Entry, Splits

_log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds without `_LEAST` new bytes, after which an address is abandoned."""

_LEAST = 1_000
_MOST = 100_000_000  # bytes of a file whose size is not known
_CHUNK = 1 << 16


def addresses(entry: Entry) -> tuple[str, ...]:
    """Return the folders to download from: the environment's, or the table's."""
    own = os.environ.get(entry.url_variable)
    return tuple(
        url if url.endswith("/") else f"{url}/"
        for url in ((own,) if own else entry.addresses)
    )


def fetch(entry: Entry) -> tuple[Splits, str]:
    """Download, verify and keep the four files; return the data and the address.

    Every file that fails is tried once more, at the next address where there is one.

    Raises:
        DataError: If that does not give all four files; says what happened where.
    """
    places = addresses(entry)
    arrays, files, failures = {}, {}, []
    for place in (places * 2)[:2]:
        try:
            for name in idx.FILES:
                if name not in arrays:
                    url = f"{place}{name}.gz"
                    _log.info("downloading %s", url)
                    data = receive(url)
                    arrays[name] = idx.parse(entry, name, data, url)
                    files[name] = data
        except DataError as error:
            failures.append(str(error))
            continue
        for name, data in files.items():
            cache.keep(cache.originals() / entry.name / f"{name}.gz", data)
        return idx.assemble(arrays), place
    raise DataError("; ".join(dict.fromkeys(failures)))


def receive(url: str, *, most: int | None = None) -> bytes:
    """Return what lies at the address, or raise a `DataError` in bounded time.

    Args:
        url: The address.
        most: Number of bytes, above which what comes is refused; None for 100 MB.
    """
    most = _MOST if most is None else most
    received = bytearray()
    failure = []

    def work() -> None:
        try:
            with urllib.request.urlopen(url, timeout=_PATIENCE) as response:
                while chunk := response.read1(_CHUNK):
                    received.extend(chunk)
                    if len(received) > most:
                        raise ValueError(f"more than {most} bytes came")
        except Exception as error:  # a thread has nobody else to tell
            failure.append(str(error) or repr(error))
            if isinstance(error, urllib.error.HTTPError):
                error.close()

    # Looking up a name cannot be interrupted and has no timeout, so it runs in a
    # thread of its own, which is left behind when patience ends.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    while True:
        before = len(received)
        worker.join(_PATIENCE)
        if not worker.is_alive():
            break
        if len(received) - before < _LEAST:
            raise DataError(
                f"{url}: {len(received) - before} bytes came in {_PATIENCE:g} s"
            )
    if failure:
        raise DataError(f"{url}: {failure[0]}")
    return bytes(received)
