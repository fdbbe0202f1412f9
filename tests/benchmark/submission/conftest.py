"""Submissions as the platform hands them to an evaluation, made from the runs of a benchmark."""

import json
import shutil
import signal
import tarfile
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.plan import plan
from cytosuite.benchmark.record import read_record
from cytosuite.benchmark.run import run_job
from cytosuite.benchmark.submission.judging.evaluate import main
from cytosuite.benchmark.submission.judging.ground_truth import write_ground_truth
from cytosuite.tasks import TASKS


def job_of(number, case, task):
    """Return a job as the platform lists it: one image among the inputs, one among the outputs."""
    sockets = [next(s for s in task.inputs if s.kind != "json"), task.outputs[0]]
    places = [
        {"slug": s.slug, "relative_path": s.relative_path, "kind": "Image", "super_kind": "Image"}
        for s in sockets
    ]
    names = [f"{case}.tif", "output.tif"]
    entries = [
        {"interface": place, "value": None, "file": None, "image": {"pk": str(number), "name": n}}
        for place, n in zip(places, names, strict=True)
    ]
    return {
        "pk": f"5e5a900f-0000-4000-8000-{number:012d}",
        "url": "https://challenge.example/",
        "inputs": entries[:1],
        "outputs": entries[1:],
        "status": "Succeeded",
        "exec_duration": "PT1M12S",
    }


@pytest.fixture
def submission_of(tmp_path):
    """Return a function that lays out the results of a job as the platform does."""

    def made(dataset, task, job, name="submission"):
        folder, jobs = tmp_path / name, []
        for number, case in enumerate(dataset.cases):
            record = read_record(job.folder / case.name)
            if record is None or not record.ok:
                continue
            found = job_of(number, case.name, task)
            source = job.folder / case.name / record.outputs[task.outputs[0].slug]
            target = folder / found["pk"] / "output" / task.outputs[0].relative_path
            target.mkdir(parents=True)
            shutil.copyfile(source, target / f"{number}{source.suffix}")
            jobs.insert(0, found)  # in no particular order
        (folder / "predictions.json").write_text(json.dumps(jobs))
        return folder

    return made


@pytest.fixture
def unpacked(tmp_path):
    """Return a function that writes a ground truth and unpacks it as the platform does."""

    def made(dataset, task, name="truth"):
        path = tmp_path / f"{name}.tar.gz"
        write_ground_truth(dataset, task, path)
        with tarfile.open(path, "r:gz") as archive:
            archive.extractall(tmp_path / name, filter="data")
        return tmp_path / name

    return made


@pytest.fixture
def evaluated(tmp_path):
    """Return a function that evaluates a submission, and gives code and content."""

    def found(submission, truth, name="metrics"):
        words = ["--input", submission, "--output", tmp_path / name, "--ground-truth", truth]
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = main(["exec", *map(str, words)])
        finally:
            signal.signal(signal.SIGTERM, before)
        path = tmp_path / name / "metrics.json"
        return code, json.loads(path.read_text()) if path.exists() else None

    return found


@pytest.fixture
def segmented(dataset, engine, watershed, tmp_path, fakes, submission_of, unpacked):
    """Return a segmentation run of three cases: its job, truth and submission."""
    task = TASKS["segment"]
    (job,) = plan(dataset, [watershed], engine, tmp_path / "run")
    run_job(job, task, engine, fakes.limits, "invoke", lambda *_: None)
    return SimpleNamespace(
        dataset=dataset,
        task=task,
        job=job,
        truth=unpacked(dataset, task),
        submission=submission_of(dataset, task, job),
    )
