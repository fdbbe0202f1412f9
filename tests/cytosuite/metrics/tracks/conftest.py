"""Makes the simulated sequences of films.py importable by the tests of tracking."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
