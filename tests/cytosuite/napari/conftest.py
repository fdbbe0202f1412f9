"""A small run on disk, with its scores."""

import pytest
from finished import finish

HEAD = "dataset,case,algorithm,metric,value"


@pytest.fixture
def run(tmp_path, situations):
    """Return the folder of a run with a good case and one whose object is missed."""
    home = finish(tmp_path, situations)
    rows = [f"toy,{name},watershed,SEG,{value}" for name, value in (("good", 1), ("bad", 0.5))]
    (home / "report").mkdir()
    (home / "report/scores.csv").write_text("\n".join([HEAD, *rows, "toy,bad,oracle,SEG,1", ""]))
    return home
