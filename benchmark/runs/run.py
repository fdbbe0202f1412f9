"""Run jobs case by case; every case ends as a whole result with a record, or not at all."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from cytosuite.benchmark.engines.collect import clear_abandoned
from cytosuite.benchmark.engines.outcome import (
    Ending,
    Engine,
    Limits,
    Outcome,
    Session,
    Shown,
    StartError,
)
from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.examine import Examiner
from cytosuite.benchmark.runs.plan import Answerer, Job, is_done
from cytosuite.benchmark.runs.record import (
    LEFT,
    ModelChoice,
    Record,
    container_report,
    facts_in,
    warnings_in,
)
from cytosuite.benchmark.runs.store.integrity import digests
from cytosuite.benchmark.runs.validate import BadOutput, same_spacing
from cytosuite.contract.spacing import text
from cytosuite.contract.tasks import Socket, Task
from cytosuite.contract.words import Api
from cytosuite.files import Entries, TextDict, TextMap, atomic, sweep
from cytosuite.files.working import alone, session_name
from cytosuite.formats import header, read, write
from cytosuite.formats.imagefiles import IMAGE_SUFFIXES
from cytosuite.volume import Header, Volume

Report = Callable[[str, str, str], None]  # algorithm, case, status
SHARDS = ".shards"  # folder in a run, with a lock for each shard at work
ALIKE = 3  # first cases that fail alike before an algorithm is given up
REFUSALS = (2, 3)  # exit codes of our algorithms: the case is no fit input, no model fits it
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a case's image for one of others
LOST = "voxel size lost by the algorithm, that of the image counts"
Inside = Callable[[str, str, float | None], None]  # algorithm, case, share of it that is done


@contextmanager
def locked(run_folder: Path, shard: Shard | None = None) -> Iterator[None]:
    """Lock a run folder, or one shard of it, until this process ends.

    InputError if another runner works in it; a shard waits for one that works on all cases.
    """
    busy = "is running here; wait for it or give another --run or --out"
    shards = run_folder / SHARDS
    if shard:
        with ExitStack() as stack:
            with alone(run_folder):
                own = shards / str(shard).replace("/", "-")
                stack.enter_context(alone(own, f"{run_folder}: shard {shard} {busy}"))
            yield
        return
    with alone(run_folder, f"{run_folder}: another benchmark {busy}"):
        for folder in shards.glob("*"):
            with alone(folder, f"{run_folder}: shard {folder.name.replace('-', '/')} {busy}"):
                pass
        for folder in run_folder.iterdir():
            if not folder.is_symlink():
                clear_abandoned(folder)
        sweep(run_folder)
        yield


def run_job(
    job: Job,
    task: Task,
    engine: Engine,
    limits: Limits,
    api: Api,
    report: Report,
    inside: Inside = lambda *_: None,
    *,
    keep_going: bool = False,
) -> None:
    """Run the missing cases of a job within the limits; `keep_going` also after equal failures."""
    if not job.missing:
        return
    name = job.algorithm.name
    job.folder.mkdir(parents=True, exist_ok=True)
    pending = list(job.missing)
    causes = list[Ending | None]()
    try:
        with started(job, task, engine, limits, api, job.folder / session_name()) as run_case:
            while pending:
                inside(name, pending[0].name, None)
                outcome = run_case(pending[0], partial(inside, name, pending[0].name))
                causes.append(cause_of(outcome, pending[0].name, job))
                report(name, pending.pop(0).name, outcome.status)
                if not keep_going and (alike := hopeless(causes, job)):
                    fail(job, pending, alike, report)
                    return
    except StartError as error:
        fail(job, pending, Outcome("non-zero exit", message=str(error)), report)


@contextmanager
def started(
    job: Job, task: Task, engine: Engine, limits: Limits, api: Api, workspace: Path
) -> Iterator[Callable[..., Outcome]]:
    """Start the algorithm of a job; yield a function that runs a case, see `_run_case`."""
    with (
        Examiner(lenient=job.external, files=engine.files) as examiner,
        engine.session(job.algorithm.name, workspace, limits, api) as session,
    ):
        yield partial(_run_case, job, task, session, examiner)


def fail(job: Job, cases: Sequence[Case], outcome: Outcome, report: Report) -> None:
    """Write the same failure for cases that were not run."""
    for case in cases:
        with atomic(job.folder / case.name) as temporary:
            temporary.mkdir()
            write_result(job.answerer, case, temporary, outcome)
        report(job.algorithm.name, case.name, outcome.status)


def hopeless(causes: Sequence[Ending | None], job: Job) -> Outcome | None:
    """Return the outcome of the other cases, if the first `ALIKE` ones failed alike."""
    if job.present or len(causes) != ALIKE or len(set(causes)) > 1 or causes[0] is None:
        return None
    status, message = causes[0]
    return Outcome(status, message=LEFT + message)


def cause_of(outcome: Outcome | Record, case: str, job: Job) -> Ending | None:
    """Return status and message of a failure without names; None if the case is its cause."""
    if outcome.status == "ok" or (outcome.exit_code in REFUSALS and not job.external):
        return None
    return outcome.status, UUID.sub("<image>", outcome.message.replace(case, "<image>"))


def _run_case(
    job: Job,
    task: Task,
    session: Session,
    examiner: Examiner,
    case: Case,
    shown: Shown = lambda _: None,
    settle: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Run one case, look at its outputs and keep the valid ones; return how it ended.

    `shown` takes the share that is done, `settle` the ending before it is written.
    """
    folder = job.folder / case.name  # a worker that was given up may have written it meanwhile
    with atomic(folder, partial(is_done, folder, job.key, retry=True)) as temporary:
        raw = temporary / "raw"
        raw.mkdir(parents=True)
        log = temporary / "log.txt"
        log.touch()
        outcome = session.predict(case.input(task), raw, log, shown)
        outputs: TextDict = {}
        reported = container_report(raw / "record.json")
        if outcome.status == "ok":
            try:
                main = case.main(task)
                geometry = None if main is None else header(main)
                outputs, lost = keep_outputs(
                    raw, temporary, case.name, task.outputs, geometry, examiner
                )
                reported = {**reported, "warnings": [*warnings_in(reported), *lost]}
            except BadOutput as finding:
                outcome = replace(outcome, status=finding.status, message=str(finding))
        settle(outcome)
        shutil.rmtree(raw)
        write_result(
            job.answerer, case, temporary, outcome, session.startup_seconds, outputs, reported
        )
        return outcome


def keep_outputs(
    raw: Path,
    folder: Path,
    name: str,
    sockets: Sequence[Socket],
    geometry: Header | None,
    examiner: Examiner,
) -> tuple[TextDict, list[str]]:
    """Move the valid outputs of a case into its folder; return paths by slug, and warnings."""
    sources = examiner.examine(raw, sockets, geometry)
    places = {}
    lost = []
    for socket in (socket for socket in sockets if socket.slug in sources):
        source = sources[socket.slug]
        suffix = source.suffix.lower()
        usual = suffix in IMAGE_SUFFIXES
        place = f"output/{socket.relative_path}"
        if not socket.is_file:
            place += f"/{name}{suffix if usual else '.tif'}"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        places[socket.slug] = place
        if socket.is_file or (
            usual and (geometry is None or examiner.exact or same_spacing(header(source), geometry))
        ):
            source.rename(folder / place)
            continue
        volume = read(source)
        as_image = volume if geometry is None else geometry
        write(folder / place, Volume(volume.array, as_image.spacing, volume.axes))
        if not same_spacing(volume, as_image):
            lost.append(f"{LOST}: {socket.slug} has {text(volume.spacing)} µm")
    return places, lost


def write_result(
    answerer: Answerer,
    case: Case,
    folder: Path,
    outcome: Outcome,
    startup_seconds: float = 0.0,
    outputs: TextMap = MappingProxyType({}),
    reported: Entries = MappingProxyType({}),
) -> None:
    """Write the record of a case, with the container's report where it makes sense."""
    model = reported.get("model")
    sums = digests(folder, outputs.values()) if outputs else {}
    use = outcome.gpu
    Record(
        algorithm=answerer.name,
        version=answerer.version,
        case=case.name,
        key=answerer.key,
        status=outcome.status,
        message=outcome.message,
        exit_code=outcome.exit_code,
        seconds=round(outcome.seconds, 4),
        startup_seconds=round(startup_seconds, 4),
        peak_memory=outcome.peak_memory,
        gpu=use.name,
        gpu_memory=use.memory,
        gpu_utilisation=None if use.utilisation is None else round(use.utilisation, 1),
        gpu_utilisation_max=use.busiest,
        **facts_in(reported),
        outputs=dict(outputs),
        digests={slug: sums[path] for slug, path in outputs.items()},
        model=model if isinstance(model, str) else "",
        selection=ModelChoice.of(reported, named=answerer.named),
        warnings=warnings_in(reported),
    ).write(folder)
