"""Download of the four original files; without a network, it fails within seconds."""

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
"""Seconds without `_LEAST` new bytes after which a URL is abandoned."""

_LEAST = 1_000
_MOST = 100_000_000  # bytes of a file whose size is unknown
_CHUNK = 1 << 16


def addresses(entry: Entry) -> tuple[str, ...]:
    """Return the URLs to download from: that of the environment, or the table's."""
    own = os.environ.get(entry.url_variable)
    return tuple(
        url if url.endswith("/") else f"{url}/"
        for url in ((own,) if own else entry.addresses)
    )


def fetch(entry: Entry) -> tuple[Splits, str]:
    """Download, verify and store the four files; return the data and the URL.

    Every file that fails is tried once more, from the next URL if there is one.

    Raises:
        DataError: If a file fails again; the message lists all failures.
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
    raise DataError(" ".join(dict.fromkeys(failures)))


def receive(url: str, *, most: int | None = None) -> bytes:
    """Download a file, or raise a `DataError` in bounded time.

    Args:
        url: URL of the file.
        most: Most bytes to accept; None for 100 MB.
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
        except Exception as error:  # reported by the calling thread
            failure.append(str(error) or repr(error))
            if isinstance(error, urllib.error.HTTPError):
                error.close()

    # A name lookup cannot be interrupted and has no timeout, so it runs in a thread of
    # its own, which is abandoned after `_PATIENCE`.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    while True:
        before = len(received)
        worker.join(_PATIENCE)
        if not worker.is_alive():
            break
        if len(received) - before < _LEAST:
            raise DataError(
                f"{url}: {len(received) - before} bytes came in {_PATIENCE:g} s."
            )
    if failure:
        raise DataError(f"{url}: {failure[0]}.")
    return bytes(received)
