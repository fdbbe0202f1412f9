"""Fixtures for all tests."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

_spec = spec_from_file_location("situations", Path(__file__).parent / "situations.py")
_situations = module_from_spec(_spec)
sys.modules["situations"] = _situations  # so that tests may also `import situations`
_spec.loader.exec_module(_situations)


@pytest.fixture
def situations():
    """Return the module of named label situations: `situations.merged()` and so on."""
    return _situations


@pytest.fixture(params=_situations.ALL)
def situation(request):
    """Return every named situation in turn."""
    return _situations.ALL[request.param]()
