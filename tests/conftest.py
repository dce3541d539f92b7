import contextlib
import ctypes
import functools
import gc
import os
import sys
import tempfile
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"  # before the first import of jax
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
# Programs of tests are small and run briefly: XLA compiles them a third faster so.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)
# Nobody reads from which line of Python an operation of these programs came.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# Processes of tests run side by side: threads of theirs would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Memory that one thread frees, another can use, and the system gets back what is left.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")
# What one test compiles, those of other processes need not compile again.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _COMPILED = tempfile.TemporaryDirectory(prefix="fdl-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling

_HERE = Path(__file__).parent


def pytest_collection():
    """Import JAX, in processes that collect tests: one that hands them out does not."""
    import jax

    jax.config.update("jax_numpy_rank_promotion", "raise")
    # Commands that tests call leave a folder alone that a program gave to JAX.
    folder = os.path.join(os.environ["JAX_COMPILATION_CACHE_DIR"], "tests")
    jax.config.update("jax_compilation_cache_dir", folder)


@pytest.fixture(scope="session")
def full_data_dir():
    """The folder with the real original files of mnist/ and fashion_mnist/."""
    named = os.environ.get("FDL_TEST_DATA_DIR")
    checkout = _HERE.parent
    folder = Path(named) if named else checkout.parent / "shared" / "data"
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"no full datasets in {folder}: set FDL_TEST_DATA_DIR")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compile with few optimizations, and draw empty pictures, unless a test is marked.

    Most tests compile a lot and run it once; what is on a picture takes a fifth of a
    second to draw. Before fixtures are set up, whose numbers tests compare with theirs.
    """
    import jax
    from matplotlib.figure import Figure

    quick = item.get_closest_marker("optimized") is None
    jax.config.update("jax_disable_most_optimizations", quick)
    whole = item.get_closest_marker("drawn") is not None
    drawn = _savefig()
    Figure.savefig = drawn if whole else functools.partialmethod(_save_empty, drawn)


@functools.cache
def _savefig():
    from matplotlib.figure import Figure

    return Figure.savefig


def _save_empty(figure, savefig, *args, **kwargs):
    savefig(type(figure)(figsize=figure.get_size_inches()), *args, **kwargs)


@functools.cache
def _compares_with_keras(file):
    return "mark.parity" in (_HERE.parent / file).read_text("utf-8")


class _KerasTogether(LoadFileScheduling):
    """Hands out files; those that compare with Keras to one process, which imports it.

    That process begins with the comparison of frameworks, which starts large ones.
    """

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        together = file.endswith("test_speed.py") or _compares_with_keras(file)
        return "Keras" if together else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return _KerasTogether(config, log) if config.option.dist == "loadfile" else None


# These start processes of their own, so they begin while that of the tests is small.
_FIRST = ("test_speed.py", "test_kills.py", "test_cli.py")

# The longest of the others, after those with Keras, so that all processes end at once.
_LONG = (
    "test_docs.py",
    "test_laws.py",
    "test_many.py",
    "test_selection.py",
    "test_sweep_goes_on.py",
)


def pytest_collection_modifyitems(items):
    items.sort(
        key=lambda item: (
            item.path.name not in _FIRST,
            not _compares_with_keras(item.path.relative_to(_HERE.parent)),
            item.path.name not in _LONG,
        )
    )


# Bytes that a process may grow by until compiled programs are freed, which takes half a
# second: two processes and what they start stay below 3.5 GB.
_GROWTH = 0.4 * 2**30
_least = 0  # bytes of this process when it was last freed


def pytest_collection_finish():
    assert "keras" not in sys.modules, "a module of tests imports Keras: see lazily.py"
    # What is imported by now stays, and need not be looked through for garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # tracing makes many objects, and little garbage
    _give_back()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    yield
    keras = sys.modules.get("keras")
    if keras and nextitem and nextitem.path != item.path:
        keras.backend.clear_session(free_memory=False)  # and number layers from one
    if _size() > _least + _GROWTH:
        sys.modules["jax"].clear_caches()
        gc.collect()
        _give_back()


def _give_back():
    global _least
    with contextlib.suppress(AttributeError):  # C libraries but GNU's
        ctypes.CDLL(None).malloc_trim(0)
    _least = _size()


def _size():
    return psutil.Process().memory_info().rss
