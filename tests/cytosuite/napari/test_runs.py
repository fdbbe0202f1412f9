"""Runs as layers: the cases of a run, the worst first, and errors by class as in its report."""

import numpy as np
import pytest

from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.runs.record import Record
from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.errors import InputError
from cytosuite.files import write_json
from cytosuite.formats import write
from cytosuite.napari.runs import errors, open_run, read_run, run_of
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


def test_the_worst_case_comes_first(run):
    opened = open_run(run)
    assert [opened.title(case) for case in opened.cases] == ["bad   SEG 0.500", "good   SEG 1.000"]
    (run / "report/scores.csv").unlink()
    assert [open_run(run).title(case) for case in open_run(run).cases] == ["good", "bad"]


def test_a_run_opens_by_its_folder_report_and_cases(run):
    pytest.importorskip("napari")
    assert run_of(run / "watershed" / "good") == (run, "watershed", "good")
    assert run_of(run / "report") == (run, "", "")
    assert run_of(run.parent) is None
    found = {given["name"]: (kind, given["scale"]) for _, given, kind in read_run(run)}
    assert list(found) == ["bad", "truth", "watershed", "watershed: missed (1)"]
    assert {scale for _, scale in found.values()} == {SPACING}
    good = read_run(run / "watershed" / "good")
    assert [given["name"] for _, given, _ in good] == ["good", "truth", "watershed"]
    with pytest.raises(InputError, match="/<watershed>/<case>, found neither"):
        read_run(run / "watershed" / "output")


def test_the_error_of_a_failed_case_is_no_layer(run):
    pytest.importorskip("napari")
    (run / "watershed" / "bad" / "record.json").write_text("{}")
    assert [given["name"] for _, given, _ in read_run(run)] == ["bad", "truth"]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("perfect", set()),
        ("missed", {"missed"}),
        ("spurious", {"false"}),
        ("split", {"split"}),
        ("merged", {"merged"}),
    ],
)
def test_errors_are_those_of_the_report(situations, name, classes):
    truth, answer = (Volume(own, SPACING) for own in getattr(situations, name)())
    found = errors(truth, answer)
    assert set(found) == classes
    for error, labels in found.items():
        assert np.isin(labels, (answer if error == "false" else truth).array).all()


def test_small_true_objects_are_no_errors(situations):
    truth, answer = (Volume(own, SPACING) for own in situations.missed())
    assert errors(truth, answer, smallest=1000) == {}


def _no_run(run):
    """expected task, jobs and fingerprint of a run, found others"""
    write_json(run / "run.json", {"task": "segment"})


def _moved(run):
    """expected its images in"""
    (run.parent / "datasets").rename(run.parent / "elsewhere")


@pytest.mark.parametrize("mistake", [_no_run, _moved])
def test_mistakes_are_one_line(run, mistake):
    mistake(run)
    with pytest.raises(InputError, match=mistake.__doc__):
        open_run(run)
