"""Makes the small pairs importable from every test of the training."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("view_pairs", Path(__file__).parent / "view_pairs.py")
_module = module_from_spec(_spec)
sys.modules["view_pairs"] = _module
_spec.loader.exec_module(_module)
