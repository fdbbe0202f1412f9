import json
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from mistakes import refused
from rich.console import Console

from cytosuite.benchmark.commands.evaluation import _built
from cytosuite.benchmark.commands.options.evaluation import BuildEvaluationOptions
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.submission.judging.submission import (
    SubmittedJob,
    by_case,
    read_predictions,
)
from cytosuite.benchmark.submission.rehearsal import rehearse_evaluation
from cytosuite.files import read_json, write_json


@pytest.fixture
def run(segmented, evaluated):
    """Return the folder of a run with its report."""
    _, content = evaluated(segmented)
    report = segmented.job.folder.parent / "report"
    cases = {"case": {name.removesuffix(".tif"): row for name, row in content["case"].items()}}
    write_json(report / "metrics.json", cases | {"aggregates": content["aggregates"], "failed": []})
    (report / "scores.csv").write_text("case,algorithm,metric,value\ncase_1,watershed,SEG,1\n")
    facts = {"fingerprint": segmented.dataset.fingerprint, "task": "segment", "command": "made"}
    write_json(
        report.parent / "run.json",
        facts | {"jobs": {segmented.job.algorithm.name: segmented.job.key}},
    )
    return report.parent


@pytest.fixture
def rehearsed(run, tmp_path):
    """Return a function that rehearses the evaluation: whether all is equal, and the lines."""

    def rehearsed(engine="process"):
        screen = Console(file=StringIO(), width=1000)
        options = BuildEvaluationOptions(dataset="squares", engine=engine, runs=tmp_path)
        built = None if engine == "process" else partial(_built, options, screen)
        say = lambda line: screen.print(line, highlight=False, markup=False)  # noqa: E731
        equal = rehearse_evaluation(run, tmp_path / "truth.tar.gz", tmp_path, built, say)
        return equal, screen.file.getvalue().splitlines()

    return rehearsed


def test_the_scores_of_a_run_are_those_of_its_evaluation(rehearsed, run, tmp_path):
    equal, (line,) = rehearsed()
    assert equal
    assert line.startswith("evaluation as a plain process: watershed: ")
    assert line.endswith(" scores, as in the run")
    assert not list(tmp_path.glob("tmp*"))
    path = run / "report/metrics.json"
    altered = read_json(path)
    altered["case"]["case_2"]["SEG"] = 0.5
    write_json(path, altered)
    equal, (first, last) = rehearsed()
    assert not equal
    assert first == "differs: watershed: case_2.tif SEG: 0.5 in the run, 1.0 in the evaluation"
    assert ": 1 of " in last


def test_results_of_a_named_model_lie_in_its_folder(rehearsed, run, segmented):
    segmented.job.folder.rename(run / "watershed-card")
    facts = read_json(run / "run.json") | {"jobs": {"watershed:card": segmented.job.key}}
    write_json(run / "run.json", facts)
    equal, (line,) = rehearsed()
    assert equal
    assert line.startswith("evaluation as a plain process: watershed:card: ")


def test_a_failed_case_of_the_run_fails_in_the_evaluation(rehearsed, segmented):
    folder = segmented.job.folder / "case_2"
    lost = {"status": "time-out", "outputs": {}, "digests": {}}
    read_record(folder).model_copy(update=lost).write(folder)
    _, lines = rehearsed()
    assert "differs: watershed: case_2.tif SEG: 1.0 in the run, 0.0 in the evaluation" in lines


def test_a_run_on_other_data_is_refused(rehearsed, run):
    write_json(run / "run.json", read_json(run / "run.json") | {"fingerprint": "0" * 64})
    refused("a run on other data than squares .* made by: made", rehearsed)


def test_a_run_without_its_results_is_refused(rehearsed, segmented):
    (segmented.job.folder / "case_1/record.json").unlink()
    refused("case_1: no result of this run; run it to its end", rehearsed)


@pytest.mark.docker
@pytest.mark.slow
def test_the_container_of_the_evaluation_is_rehearsed(client, base, rehearsed):
    equal, (*_, line) = rehearsed("docker")
    assert equal, line
    assert line.startswith("evaluation in its container: watershed: ")


PK = "5e5a900f-0000-4000-8000-000000000000"
LABELS = {"slug": "instance-labels", "relative_path": "images/instance-labels"}


@pytest.fixture
def listed(tmp_path):
    """Return a function that reads a list of jobs."""

    def found(content):
        path = tmp_path / "predictions.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_predictions(path)

    return found


def test_a_job_of_the_platform(listed):
    image = {"pk": "1", "name": "case_003.tif"}
    job = {
        "pk": PK, "url": "x", "api_url": "y", "algorithm_image": "z", "status": "Succeeded",
        "inputs": [
            {"interface": {"slug": "microscopy-image"}, "image": image},
            {"interface": {"slug": "m"}, "value": 1, "image": None},
        ],
        "outputs": [{"interface": LABELS, "value": None, "image": {"name": "output.mha"}}],
        "hanging_protocol": None, "exec_duration": "PT1M12S", "invoke_duration": None,
    }  # fmt: skip
    assert listed([job]) == [
        SubmittedJob(PK, "Succeeded", ("case_003.tif",), {LABELS["slug"]: LABELS["relative_path"]})
    ]
    null = {"pk": PK, "inputs": None, "outputs": None, "status": None}
    assert listed([null]) == [SubmittedJob(PK, "Succeeded", (), {})]
    bare = {"pk": PK, "inputs": [{"image": {"name": "a.tif"}}], "outputs": [{"value": 1}]}
    assert listed([bare]) == [SubmittedJob(PK, "Succeeded", ("a.tif",), {})]


def outputs(*entries):
    return [{"pk": "a", "outputs": list(entries)}]


PK_WANTED = "job 0: expected a pk of letters, digits and hyphens, found"
MISTAKES = {
    "expected a list of jobs, found {'pk': 1}": {"pk": 1},
    "job 0: expected an object, found 'a'": ["a"],
    f"{PK_WANTED} None": [{"inputs": []}],
    f"{PK_WANTED} '../../etc'": [{"pk": "../../etc"}],
    f"{PK_WANTED} 'a\\n'": [{"pk": "a\n"}],
    "two jobs have the pk a; expected one job each": [{"pk": "a"}, {"pk": "a"}],
    "job 0: inputs: expected a list of objects, found 'a'": [{"pk": "a", "inputs": ["a"]}],
    "relative_path must stay in the folder": outputs(
        {"interface": {"slug": "s", "relative_path": "../../t"}}
    ),
    "expected interface.slug, a text": outputs({"interface": {"relative_path": "images/a"}}),
    "two entries of 's'": outputs({"interface": {"slug": "s"}}, {"socket": {"slug": "s"}}),
    "contradict each other": outputs({"interface": {"slug": "s"}, "socket": {"slug": "t"}}),
    "expected JSON, found NaN": '[{"pk": "a", "value": NaN}]',
    "expected a text of at most 64 MiB": " " * (2**26 + 1),
}


@pytest.mark.parametrize("message, content", MISTAKES.items(), ids=MISTAKES)
def test_mistakes_are_one_line_with_the_file(listed, content, message, tmp_path):
    assert str(refused(message, listed, content)).startswith(str(tmp_path / "predictions.json"))


def job(pk, *names):
    return SubmittedJob(pk, "Succeeded", names, {})


@pytest.mark.parametrize(
    "message, jobs",
    {
        "job a: expected the input image of one case, found three.tif": [job("a", "three.tif")],
        "of one case, found one.tif, two.tif": [job("a", "one.tif", "two.tif")],
        "two jobs have the input image one.tif: a and b": [job("a", "one.tif"), job("b", "one.tif")],
    }.items(),
)  # fmt: skip
def test_unknown_and_repeated_images_are_refused(jobs, message):
    refused(message, by_case, jobs, {"one": "one.tif", "two": "two.tif"}, Path("p"))
