import pytest


@pytest.fixture(autouse=True)
def _compile_quickly(quick_compile):
    """These compile many programs and run each a few times."""
