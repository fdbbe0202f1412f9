"""Makes the simulated sequences of films.py importable by the tests of tracking."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("films", Path(__file__).parent / "films.py")
_films = module_from_spec(_spec)
sys.modules["films"] = _films
_spec.loader.exec_module(_films)
