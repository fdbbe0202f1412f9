import pytest
from spheroids import make


@pytest.fixture(scope="session")
def sample():
    """Return a small sample."""
    return make()
