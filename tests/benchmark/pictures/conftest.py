"""The fake runs of the report's tests."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("fakes", Path(__file__).parents[1] / "report" / "conftest.py")
_fakes = module_from_spec(_spec)
_spec.loader.exec_module(_fakes)
make = _fakes.make
