"""A fuzzer of all readers: `python -m tests.hostile.fuzz --help`.

Small whole files are made (`seeds`), altered (`mutations`) and read in a child with limits
(`worker`), which judges the outcome (`readers`). The parent watches it, sorts the findings and
makes them small (`__main__`).
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # as tests/conftest.py does


def serve(home, pipe):
    """Judge the jobs of a pipe; the parent imports nothing that could break."""
    from tests.hostile.fuzz.worker import main

    main(home, pipe)
