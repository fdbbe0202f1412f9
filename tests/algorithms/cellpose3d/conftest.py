"""Makes the small training volumes importable from every test of this folder."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("training_data", Path(__file__).parent / "training_data.py")
_module = module_from_spec(_spec)
sys.modules["training_data"] = _module
_spec.loader.exec_module(_module)
