"""Submissions as the platform hands them to an evaluation, made from the runs of a benchmark."""

import signal
import tarfile
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.run import run_job
from cytosuite.benchmark.submission.judging.evaluate import main
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.ground_truth import ground_truth
from cytosuite.benchmark.submission.judging.submission import write_submission
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json


@pytest.fixture
def submission_of(tmp_path):
    """Return a function that lays out the results of a job as the platform does."""

    def made(job, truth):
        folder = tmp_path / "submission"
        write_submission(job.folder, job.key, read_evaluation(truth), folder)
        return folder

    return made


@pytest.fixture
def unpacked(tmp_path):
    """Return a function that writes a ground truth and unpacks it as the platform does."""

    def made(dataset, task, name="truth"):
        path = tmp_path / f"{name}.tar.gz"
        ground_truth(dataset, task).write(path)
        with tarfile.open(path, "r:gz") as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # of 3.11.4 on
            archive.extractall(tmp_path / name)
        return tmp_path / name

    return made


@pytest.fixture
def evaluated(tmp_path):
    """Return a function that evaluates the submission of a run, and gives code and content."""

    def found(run, name="metrics"):
        words = [
            "--input",
            run.submission,
            "--output",
            tmp_path / name,
            "--ground-truth",
            run.truth,
        ]
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = main(["exec", *map(str, words)])
        finally:
            signal.signal(signal.SIGTERM, before)
        path = tmp_path / name / "metrics.json"
        return code, read_json(path) if path.exists() else None

    return found


@pytest.fixture
def segmented(dataset, engine, watershed, tmp_path, fakes, submission_of, unpacked):
    """Return a segmentation run of three cases: its job, truth and submission."""
    task = TASKS["segment"]
    (job,) = plan(dataset, [watershed], engine, tmp_path / "run")
    run_job(job, task, engine, fakes.limits, "invoke", lambda *_: None)
    truth = unpacked(dataset, task)
    return SimpleNamespace(
        dataset=dataset, task=task, job=job, truth=truth, submission=submission_of(job, truth)
    )
