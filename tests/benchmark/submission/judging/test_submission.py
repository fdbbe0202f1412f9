"""The evaluation is rehearsed with the outputs of a run, and gives the scores of the run."""

import json
from io import StringIO

import pytest
from rich.console import Console

from cytosuite.benchmark.commands.challenge import EvaluationOptions
from cytosuite.benchmark.commands.evaluation import rehearse_evaluation
from cytosuite.benchmark.record import read_record
from cytosuite.errors import InputError


@pytest.fixture
def run(segmented, evaluated):
    """Return the folder of a run with its report."""
    _, content = evaluated(segmented.submission, segmented.truth)
    report = segmented.job.folder.parent / "report"
    report.mkdir()
    own = {"case": {name.removesuffix(".tif"): row for name, row in content["case"].items()}}
    layout = own | {"aggregates": content["aggregates"], "failed": []}
    (report / "metrics.json").write_text(json.dumps(layout))
    (report / "scores.csv").write_text("case,algorithm,metric,value\ncase_1,watershed,SEG,1\n")
    facts = {"fingerprint": segmented.dataset.fingerprint, "task": "segment", "command": "made"}
    jobs = {segmented.job.algorithm.name: segmented.job.key}
    (report.parent / "run.json").write_text(json.dumps(facts | {"jobs": jobs}))
    return report.parent


@pytest.fixture
def rehearsed(run, tmp_path):
    """Return a function that rehearses the evaluation: whether all is equal, and the lines."""

    def rehearsed(engine="process"):
        screen = Console(file=StringIO(), width=1000)
        options = EvaluationOptions(dataset="squares", engine=engine, runs=tmp_path)
        equal = rehearse_evaluation(run, tmp_path / "truth.tar.gz", options, screen)
        return equal, screen.file.getvalue().splitlines()

    return rehearsed


def test_the_scores_of_a_run_are_those_of_its_evaluation(rehearsed, run, tmp_path):
    equal, (line,) = rehearsed()
    assert equal
    assert line.startswith("evaluation as a plain process: watershed: ")
    assert line.endswith(" scores, as in the run")
    assert not list(tmp_path.glob("tmp*"))
    path = run / "report" / "metrics.json"
    altered = json.loads(path.read_text())
    altered["case"]["case_2"]["SEG"] = 0.5
    path.write_text(json.dumps(altered))
    equal, (first, last) = rehearsed()
    assert not equal
    assert first == "differs: watershed: case_2.tif SEG: 0.5 in the run, 1.0 in the evaluation"
    assert ": 1 of " in last


def test_a_failed_case_of_the_run_fails_in_the_evaluation(rehearsed, segmented):
    folder = segmented.job.folder / "case_2"
    lost = {"status": "time-out", "outputs": {}, "digests": {}}
    read_record(folder).model_copy(update=lost).write(folder)
    _, lines = rehearsed()
    assert "differs: watershed: case_2.tif SEG: 1.0 in the run, 0.0 in the evaluation" in lines


def test_a_run_on_other_data_is_refused(rehearsed, run):
    facts = json.loads((run / "run.json").read_text()) | {"fingerprint": "0" * 64}
    (run / "run.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="a run on other data than squares .* made by: made"):
        rehearsed()


def test_a_run_without_its_results_is_refused(rehearsed, segmented):
    (segmented.job.folder / "case_1" / "record.json").unlink()
    with pytest.raises(InputError, match="case_1: no result of this run; run it to its end"):
        rehearsed()


@pytest.mark.docker
@pytest.mark.slow
def test_the_container_of_the_evaluation_is_rehearsed(client, base, rehearsed):
    equal, (*_, line) = rehearsed("docker")
    assert equal, line
    assert line.startswith("evaluation in its container: watershed: ")
