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
# With oneDNN, TensorFlow never frees the memory of large models.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Test programs are small and run briefly: these flags compile them a third faster.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)
# The source locations of operations are not needed.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# Test processes run in parallel: more threads would compete for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# With few arenas, threads reuse each other's freed memory, and more can be trimmed.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")
# Test processes share their compiled programs.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _COMPILED = tempfile.TemporaryDirectory(prefix="fdl-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling

_HERE = Path(__file__).parent


def pytest_collection():
    """Import JAX in processes that collect tests; the one that distributes does not."""
    import jax

    jax.config.update("jax_numpy_rank_promotion", "raise")
    # `fdl` commands do not replace a cache folder that is set in `jax.config`.
    folder = os.path.join(os.environ["JAX_COMPILATION_CACHE_DIR"], "tests")
    jax.config.update("jax_compilation_cache_dir", folder)


@pytest.fixture(scope="session")
def full_data_dir():
    """The folder with the original files of MNIST and Fashion-MNIST."""
    named = os.environ.get("FDL_TEST_DATA_DIR")
    checkout = _HERE.parent
    folder = Path(named) if named else checkout.parent / "shared" / "data"
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"no full datasets in {folder}: set FDL_TEST_DATA_DIR")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compile with few optimizations and save empty figures, unless a test is marked.

    Most tests compile a lot and run it once, and drawing a figure takes a fifth of a
    second. This runs before fixtures are set up: tests compare numbers with theirs.
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
    """Distributes files; those that compare with Keras run in one process.

    That process first runs the comparison of frameworks, which starts large processes.
    """

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        together = file.endswith("test_speed.py") or _compares_with_keras(file)
        return "Keras" if together else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return _KerasTogether(config, log) if config.option.dist == "loadfile" else None


# These start subprocesses, so they run first, while the test process is still small.
_FIRST = (
    "test_speed.py",
    "test_several_devices.py",
    "test_several_processes.py",
    "test_cluster_sweep.py",
    "test_kills.py",
    "test_cli.py",
)

# The longest of the other files, after those with Keras: all processes end together.
_LONG = (
    "test_docs.py",
    "test_laws.py",
    "test_many.py",
    "test_selection.py",
    "test_resumed_sweeps.py",
)


def pytest_collection_modifyitems(items):
    items.sort(
        key=lambda item: (
            item.path.name not in _FIRST,
            not _compares_with_keras(item.path.relative_to(_HERE.parent)),
            item.path.name not in _LONG,
        )
    )


# A process that has grown by this many bytes frees its compiled programs, which takes
# half a second.
_GROWTH = 0.2 * 2**30
_least = 0  # bytes of this process when memory was last freed


def pytest_collection_finish():
    assert "keras" not in sys.modules, "a test module imports Keras: see lazily.py"
    # Imported modules stay, so the garbage collector need not scan them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # tracing creates many objects and little garbage
    _trim_memory()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    yield
    keras = sys.modules.get("keras")
    if keras and nextitem and nextitem.path != item.path:
        keras.backend.clear_session(free_memory=False)  # numbers layers from 1 again
    if _size() > _least + _GROWTH:
        sys.modules["jax"].clear_caches()
        gc.collect()
        _trim_memory()


def _trim_memory():
    global _least
    with contextlib.suppress(AttributeError):  # not the GNU C library
        ctypes.CDLL(None).malloc_trim(0)
    _least = _size()


def _size():
    return psutil.Process().memory_info().rss
