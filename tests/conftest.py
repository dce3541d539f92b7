import contextlib
import ctypes
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
# Processes of tests run side by side: threads of theirs would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What one test compiles, those of other processes need not compile again.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _COMPILED = tempfile.TemporaryDirectory(prefix="fdl-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.02"

import jax
import psutil
import pytest
from matplotlib.figure import Figure

jax.config.update("jax_numpy_rank_promotion", "raise")
# Commands that tests call leave a folder alone that a program gave to JAX.
_FOLDER = os.path.join(os.environ["JAX_COMPILATION_CACHE_DIR"], "tests")
jax.config.update("jax_compilation_cache_dir", _FOLDER)
_savefig = Figure.savefig


@pytest.fixture(scope="session")
def full_data_dir():
    """The folder with the real original files of mnist/ and fashion_mnist/."""
    named = os.environ.get("FDL_TEST_DATA_DIR")
    checkout = Path(__file__).resolve().parents[1]
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
    quick = item.get_closest_marker("optimized") is None
    jax.config.update("jax_disable_most_optimizations", quick)
    whole = item.get_closest_marker("drawn") is not None
    Figure.savefig = _savefig if whole else _save_empty


def _save_empty(figure, *args, **kwargs):
    _savefig(Figure(figsize=figure.get_size_inches()), *args, **kwargs)


# The longest files, which begin first, so that all processes end at once.
_FIRST = (
    "test_docs.py",
    "test_examples.py",
    "test_laws.py",
    "test_models.py",
    "test_layers.py",
    "test_kills.py",
    "test_many.py",
    "test_selection.py",
    "test_sweep_goes_on.py",
    "test_against_keras.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _FIRST)


# Bytes of memory, from which on compiled programs are freed: TensorFlow alone takes 0.8
# GB, and two processes, with what they start, stay below 3.
_MUCH = 1.2 * 2**30


def pytest_collection_finish():
    # What is imported by now stays, and need not be looked through for garbage.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Free what was compiled once it fills the memory; this takes half a second."""
    yield
    if psutil.Process().memory_info().rss < _MUCH:
        return
    if sys.modules.get("keras"):
        sys.modules["keras"].backend.clear_session(free_memory=False)
    jax.clear_caches()
    gc.collect()
    with contextlib.suppress(AttributeError):  # C libraries but GNU's
        ctypes.CDLL(None).malloc_trim(0)
