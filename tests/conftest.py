import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"  # before the first import of jax
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def full_data_dir():
    """The folder with the real original files of mnist/ and fashion_mnist/."""
    named = os.environ.get("FDL_TEST_DATA_DIR")
    checkout = Path(__file__).resolve().parents[1]
    folder = Path(named) if named else checkout.parent / "shared" / "data"
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"no full datasets in {folder}: set FDL_TEST_DATA_DIR")
    return folder


@pytest.fixture
def quick_compile():
    """Compile with few optimizations: for tests whose programs hardly run at all."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
