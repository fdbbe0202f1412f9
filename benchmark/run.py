"""Run jobs case by case; every case ends as a whole result with a record, or not at all."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.data.dataset import Case, Dataset
from benchmark.engines.outcome import Api, Engine, Limits, Outcome, Session, StartError
from benchmark.plan import Job
from benchmark.validate import BadOutput, check, survey
from cytosuite.errors import InputError
from cytosuite.files import atomic, write_json
from cytosuite.formats import read

RECORD_BYTES = 100_000
SELECTION = ("cost", "terms", "fallback", "broken", "sources")
Report = Callable[[str, str, str], None]  # algorithm, case, status


@contextmanager
def claimed(run_folder: Path) -> Iterator[None]:
    """Hold a run folder against other runners; the claim ends with the process, however it ends.

    Raises
    ------
    InputError
        If another runner works in the folder.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{run_folder}: another benchmark is running here; wait for it or give RUN=<name>"
            ) from None
        yield


def run_job(
    job: Job, dataset: Dataset, engine: Engine, limits: Limits, api: Api, report: Report
) -> None:
    """Run the missing cases of a job.

    Parameters
    ----------
    job : Job
        Algorithm and cases.
    dataset : Dataset
        Where the cases lie.
    engine : Engine
        What runs them.
    limits : Limits
        For each case.
    api : str
        ``serve`` or ``exec``.
    report : callable
        Called with algorithm, case and status after each case.

    Notes
    -----
    Results are put together in a temporary folder and renamed, so that an interruption leaves
    none half-written. An algorithm that does not start fails all its cases.
    """
    if not job.missing:
        return
    name = job.algorithm.name
    job.folder.mkdir(parents=True, exist_ok=True)
    pending = list(job.missing)
    try:
        with engine.session(name, job.folder / ".session", limits, api) as session:
            while pending:
                status = _run_case(job, pending[0], dataset, session, limits)
                report(name, pending.pop(0).name, status)
    except StartError as error:
        failed = Outcome("non-zero exit", 0.0, None, None, str(error))
        for case in pending:
            with atomic(job.folder / case.name) as temporary:
                temporary.mkdir()
                _finish(job, case, temporary, failed, 0.0, None)
            report(name, case.name, failed.status)


def _run_case(job: Job, case: Case, dataset: Dataset, session: Session, limits: Limits) -> str:
    """Run one case, look at its output and keep what is valid; return its status."""
    with atomic(job.folder / case.name) as temporary:
        raw = temporary / "raw"
        raw.mkdir(parents=True)
        log = temporary / "log.txt"
        log.touch()
        outcome = session.predict(case.input, raw, log)
        output = None
        if outcome.status == "ok":
            try:
                output = _keep(raw, temporary, case, dataset, limits)
            except BadOutput as finding:
                outcome = replace(outcome, status=finding.status, message=str(finding))
        _finish(job, case, temporary, outcome, session.startup_seconds, output)
        return outcome.status


def _keep(raw: Path, folder: Path, case: Case, dataset: Dataset, limits: Limits) -> str:
    """Copy the valid output of a case beside its record and return its relative path.

    A copy belongs to the user who runs the benchmark, whoever the container ran as.
    """
    survey(raw, int(limits.output_gib * 2**30))
    image = read(case.image(dataset.task))
    kept = ""
    for socket in dataset.task.outputs:
        source, _ = check(raw, socket, image)
        kept = f"output/{socket.relative_path}/{case.name}{source.suffix.lower()}"
        (folder / kept).parent.mkdir(parents=True)
        shutil.copyfile(source, folder / kept)
    return kept


def _finish(
    job: Job,
    case: Case,
    folder: Path,
    outcome: Outcome,
    startup_seconds: float,
    output: str | None,
) -> None:
    """Write the record of a case and remove what the container left."""
    said = own_record(folder / "raw" / "record.json")
    inside = said.get("seconds")
    shutil.rmtree(folder / "raw", ignore_errors=True)
    record = {
        "algorithm": job.algorithm.name,
        "version": job.algorithm.version,
        "case": case.name,
        "key": job.key,
        "status": outcome.status,
        "message": outcome.message,
        "exit_code": outcome.exit_code,
        "seconds": round(outcome.seconds, 4),
        "inside_seconds": inside if isinstance(inside, int | float) else None,
        "startup_seconds": round(startup_seconds, 4),
        "peak_memory": outcome.peak_memory,
        "output": output,
        "model": str(said.get("model", "")),
        "selection": {
            key: said[key]
            for key in ("cost", "terms", "fallback", "broken", "sources")
            if key in said
        },
    }
    write_json(folder / "record.json", record)


def own_record(path: Path) -> Mapping[str, Any]:
    """Return what the algorithm says of its choice of model; nothing if that is not plain JSON."""
    try:
        if path.is_symlink() or path.stat().st_size > RECORD_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(constant: str) -> None:
    """Refuse NaN and infinities, which are no JSON."""
    raise ValueError(constant)
