"""A small run on disk."""

import pytest

from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.runs.record import Record
from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.files import write_json
from cytosuite.formats import write
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.5)
MARK = "0123456789ab"
HEAD = "dataset,case,algorithm,metric,value"


@pytest.fixture
def run(tmp_path, situations):
    """Return the folder of a run with a good case and one whose object is missed."""
    home = tmp_path / "datasets" / f"toy-mini-{MARK}"
    cases = {"good": situations.perfect(), "bad": situations.missed()}
    write_json(home / "dataset.json", {"cases": list(cases)})
    facts = {"task": "segment", "jobs": {"watershed": "k"}, "fingerprint": f"{MARK}cdef"}
    write_json(tmp_path / "toy" / "run.json", facts)
    for name, (truth, answer) in cases.items():
        case = Case(name, home / "cases" / name)
        write(case.path(IMAGE.slug), Volume(truth, SPACING))
        write(case.path(LABELS.slug), Volume(truth, SPACING))
        write_json(case.folder / "case.json", {"sockets": [], "conditions": {}})
        folder = tmp_path / "toy" / "watershed" / name
        write(folder / "output/a.tif", Volume(answer, SPACING))
        own = {"algorithm": "watershed", "version": "0.1.0", "case": name, "key": "k"}
        Record(**own, status="ok", outputs={LABELS.slug: "output/a.tif"}).write(folder)
    report = tmp_path / "toy" / "report"
    report.mkdir()
    rows = [f"toy,{name},watershed,SEG,{value}" for name, value in (("good", 1), ("bad", 0.5))]
    (report / "scores.csv").write_text("\n".join([HEAD, *rows, "toy,bad,oracle,SEG,1", ""]))
    return tmp_path / "toy"
