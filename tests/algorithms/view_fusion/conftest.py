"""Makes the small views importable from every test, and computes in one thread."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

_spec = spec_from_file_location("light_sheet", Path(__file__).parent / "light_sheet.py")
_module = module_from_spec(_spec)
sys.modules["light_sheet"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute in one thread: results are the same bits, and small tensors are faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
