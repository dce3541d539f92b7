import contextlib
import functools
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

from fdl.data import DataError, builder, cache, catalog, download, load

OFFLINE = """
import sys, time
import fdl.data
start = time.monotonic()
try:
    fdl.data.load("mnist")
except fdl.data.DataError as error:
    print(error)
assert not {"tensorflow", "keras", "torch"} & set(sys.modules)
print("seconds", time.monotonic() - start)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(download, "_PATIENCE", 0.5)


@contextlib.contextmanager
def server(answer):
    """Serve `answer(request)` on this computer; yield the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.daemon_threads = True
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http_server.server_port}/files"
        finally:
            http_server.shutdown()
            thread.join()


def send(request, data, *, length=None):
    request.send_response(200)
    request.send_header("Content-Length", str(length or len(data)))
    request.end_headers()
    request.wfile.write(data)


def name_of(request):
    return request.path.removeprefix("/files/").removesuffix(".gz")


@pytest.fixture
def good(tiny, original_files):
    files = original_files(tiny.splits)
    return lambda request: send(request, files[name_of(request)])


def test_a_download_is_prepared_and_never_repeated(
    tiny, good, assert_same, isolated, monkeypatch
):
    with server(good) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        data = load("mnist")
    version = isolated / "tfds" / "mnist" / "3.0.1"
    assert data.info.source == f"downloaded from {url}/, prepared in {version}"
    assert_same(data, tiny.splits)
    assert_same(load("mnist", download=False), tiny.splits)
    shutil.rmtree(isolated / "tfds")
    again = load("mnist", download=False)
    assert_same(again, tiny.splits)
    assert again.info.source == f"original files in {cache.originals() / 'mnist'}"


def test_a_download_is_prepared_in_the_named_folder(tiny, good, tmp_path, monkeypatch):
    with server(good) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        load("mnist", data_dir=tmp_path)
    assert load("mnist", data_dir=tmp_path).info.source == (
        f"TFDS directory {tmp_path / 'mnist' / '3.0.1'}"
    )


def test_without_permission_nothing_is_downloaded(tiny, monkeypatch):
    monkeypatch.setattr(download, "receive", None)
    with pytest.raises(DataError, match="not allowed"):
        load("mnist", download=False)


def test_a_failed_request_is_retried_once(tiny, good, assert_same, monkeypatch):
    seen = []

    def answer(request):
        seen.append(name_of(request))
        if len(seen) == 2:
            request.send_error(503)
        else:
            good(request)

    with server(answer) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        assert_same(load("mnist"), tiny.splits)
    assert len(seen) == 5  # files that arrived are not fetched again


def test_the_second_address_is_used_if_the_first_fails(
    tiny, good, assert_same, monkeypatch
):
    monkeypatch.delenv("FDL_MNIST_URL")
    with server(lambda request: request.send_error(403)) as bad, server(good) as url:
        entry = tiny.entry._replace(addresses=(f"{bad}/", f"{url}/"))
        monkeypatch.setitem(catalog.CATALOG, "mnist", entry)
        data = load("mnist")
    assert_same(data, tiny.splits)
    assert f"downloaded from {url}/" in data.info.source


def _wrong_bytes(good, request):
    send(request, b"<html>Sign in to the network</html>")


def _cut_off(good, request):
    send(request, b"\x1f\x8b" + bytes(100), length=5000)


def _unavailable(good, request):
    request.send_error(503)


def _hanging(good, request):
    time.sleep(2)


def _dripping(good, request):
    request.send_response(200)
    request.end_headers()
    for _ in range(40):
        request.wfile.write(b"\x1f")
        request.wfile.flush()
        time.sleep(0.05)


def _endless(good, request):
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(1 << 20))


def _last_file_wrong(good, request):
    if name_of(request) == "t10k-labels-idx1-ubyte":
        send(request, b"nothing")
    else:
        good(request)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (_wrong_bytes, "not an IDX file of bytes: it begins with b'<html>"),
        (_cut_off, "damaged gzip file"),
        (_unavailable, "HTTP Error 503: Service Unavailable"),
        (_hanging, "0 bytes came in 0.5 s|timed out"),
        (_dripping, "bytes came in 0.5 s"),
        (_endless, "more than 10000000 bytes"),
        (_last_file_wrong, "t10k-labels-idx1-ubyte.gz: not an IDX file"),
    ],
)
def test_a_failing_server_is_reported_with_remedies(
    tiny, good, monkeypatch, isolated, answer, message
):
    monkeypatch.setattr(download, "_MOST", 10_000_000)
    start = time.monotonic()
    with server(functools.partial(answer, good)) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        with pytest.raises(DataError, match=message) as caught:
            load("mnist")
    assert time.monotonic() - start < 5
    text = str(caught.value)
    for part in (f"{url}/t", "FDL_DATA_DIR", "mnist-5k", "FDL_MNIST_URL"):
        assert part in text
    assert not [*isolated.rglob("*ubyte*")]  # no partial file is left


def test_a_hanging_name_lookup_times_out(tiny, monkeypatch):
    monkeypatch.setenv("FDL_MNIST_URL", "http://nowhere.invalid/")
    released = threading.Event()

    def look_up(*args, **options):
        released.wait()
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"nowhere.invalid.*0 bytes came in 0.5 s"):
        load("mnist")
    assert time.monotonic() - start < 3
    released.set()


def test_a_bad_address_is_refused(tiny, monkeypatch):
    monkeypatch.setenv("FDL_MNIST_URL", "nonsense")
    with pytest.raises(DataError, match="unknown url type"):
        load("mnist")


def test_data_that_cannot_be_prepared_are_returned_with_a_warning(
    tiny, good, assert_same, monkeypatch
):
    def fail(*args):
        raise RuntimeError("no array_record here")

    monkeypatch.setattr(builder, "_make", fail)
    with server(good) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        with pytest.warns(UserWarning, match="not prepared in .*no array_record here"):
            data = load("mnist")
    assert_same(data, tiny.splits)
    assert_same(load("mnist", download=False), tiny.splits)


def test_an_unwritable_cache_is_not_an_error(
    tiny, good, assert_same, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FDL_CACHE_DIR", str(tmp_path / "file"))
    with server(good) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        assert_same(load("mnist"), tiny.splits)


def test_without_a_network_load_fails_within_15_seconds(isolated):
    without_network = ["unshare", "-rn"]
    try:
        subprocess.run([*without_network, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot create an empty network namespace: {error}")
    environment = {k: v for k, v in os.environ.items() if k != "FDL_MNIST_URL"}
    start = time.monotonic()
    done = subprocess.run(
        [*without_network, sys.executable, "-W", "error", "-c", OFFLINE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - start < 15
    for part in (
        "MNIST was not found. Tried:",
        f"TFDS directory {isolated / 'tfds' / 'mnist' / '3.0.1'}: nothing there",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "Remedies:",
        "FDL_DATA_DIR",
        "load('mnist-5k')",
    ):
        assert part in done.stdout


def test_an_incomplete_directory_is_left_alone_with_a_warning(
    tiny, good, assert_same, isolated, monkeypatch
):
    version = isolated / "tfds" / "mnist" / "3.0.1"
    version.mkdir(parents=True)
    with server(good) as url:
        monkeypatch.setenv("FDL_MNIST_URL", url)
        with pytest.warns(UserWarning, match="exists but is not complete"):
            assert_same(load("mnist"), tiny.splits)
    assert not [*version.iterdir()]
