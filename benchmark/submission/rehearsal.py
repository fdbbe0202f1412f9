"""Rehearse a submission under a platform's limits, or stricter, and an evaluation of a run."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid5

import numpy as np

from cytosuite.benchmark.catalog.contract import Check
from cytosuite.benchmark.catalog.places import ROOT, folder_of
from cytosuite.benchmark.engines.collect import give
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.images.daemon import daemon_errors
from cytosuite.benchmark.engines.outcome import (
    HEALTH_S,
    Engine,
    Limits,
    Outcome,
    StartError,
    Status,
)
from cytosuite.benchmark.engines.sandbox import sandbox
from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.examine import Examiner
from cytosuite.benchmark.runs.validate import BadOutput
from cytosuite.benchmark.scores.comparison.scored import read_scored
from cytosuite.benchmark.submission.checks.preflight import preflight
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.submission import (
    differences,
    own_scores,
    write_submission,
)
from cytosuite.benchmark.submission.profiles import MARGIN, PlatformProfile
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.contract.words import Api, Say
from cytosuite.errors import InputError, plain
from cytosuite.files import (
    Entries,
    FloatMap,
    Json,
    Paths,
    file_digest,
    object_in,
    read_json,
    work_folder,
    write_json,
)
from cytosuite.files.tarball import unpack
from cytosuite.formats import header, read
from cytosuite.volume.memory import GIB

SHIM = "sagemaker-shim"  # the platform's own launcher
INSTALL = f"pip install httpx; pip install --no-deps --ignore-requires-python {SHIM}"
PROGRAM = ROOT / "docker/platform/drive.py"
HOME = "/opt/platform"
ROOTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")  # its rights as root
OTHER_NAMES = UUID("c7a4f0e2-6f0b-4f55-9a53-3d9f3a1c6b10")
LONG_AGO_S = 10**9  # time of the renamed files
LATE_S = 0.1  # longest limit of the case that must exceed it; the machine may be less busy by then
LOG_LINES = 500  # the platform keeps no more
SLUG = "socket-of-another-phase"
PLACE = {"slug": SLUG, "kind": "Anything", "super_kind": "Value", "relative_path": f"{SLUG}.json"}
NEEDED = f"needs the platform's launcher ({INSTALL}), an image of ours, its own models, a CPU"
REACHED = "port 4743 from outside (no bridge or published port is made: 127.0.0.2 stands for them)"
UNKNOWN = {"interface": PLACE, "value": 1, "file": None, "image": None}
Built = Callable[[], tuple[Builder, str]]  # the image of the evaluation, and its tag
SHOWN = 5  # scores that differ
METRICS = "metrics.json"
TRUTH = "/opt/ml/input/data/ground_truth"
SHUT = {  # as the steps for organisers say
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": ""},
}


class Rehearsed(NamedTuple):
    """The answer of an algorithm to one case: its ending, files, finding and lines of log."""

    case: str
    outcome: Outcome
    folder: Path
    outputs: Paths
    finding: str
    lines: int


@dataclass
class Rehearsal:
    """The runs of a submission on a few cases."""

    engine: Engine
    manifest: AlgorithmManifest
    cases: Sequence[Case]
    limits: Limits
    folder: Path  # empty, for all files
    external: bool = False  # others built the image: it serves one interface
    answers: list[Rehearsed] = field(default_factory=list)
    start_s: float = 0.0  # of the slowest server

    @property
    def task(self) -> Task:
        """The task of the algorithm."""
        return TASKS[self.manifest.task]

    def checks(self, api: Api) -> Iterator[Check]:
        """Yield the checks of all runs; where a case of the first run fails, no others follow."""
        first = self._run(api, [(case, case.input(self.task)) for case in self.cases])
        title = f"{api}: each case ends well, its outputs have the input's geometry"
        yield _judged(title, _findings(first))
        if _findings(first):
            return
        refused = (
            f"{answer.case}: {finding.where}: {finding.text}"
            for answer in first
            for finding in preflight(answer.folder, self.task)
            if finding.severity == "error"
        )
        yield _judged("outputs: the platform imports each", next(refused, ""))
        cut = next((answer for answer in first if answer.lines > LOG_LINES), None)
        long = f"{cut.case}: {cut.lines} lines; print less" if cut else ""
        yield _judged(f"log: at most {LOG_LINES} lines per case", long)
        title = "other file names and times, one more socket: the same outputs"
        if self.external:
            yield Check(title, "skip", "images of others get the sockets that they name")
        else:
            case = self.cases[0]
            again = self._run(
                api, [(case, _renamed(case.input(self.task), self.folder / "renamed"))]
            )
            yield _judged(title, _findings(again) or _different(first, again))
        opposite: Api = "exec" if (api == "invoke") is not self.external else "invoke"
        second = self._run(
            opposite, [(case, case.input(self.task)) for case in [*self.cases, *self.cases][:2]]
        )
        title = f"{opposite}, two cases in a row: the same outputs"
        yield _judged(title, _findings(second) or _different(first, second))
        yield from self._margins()
        yield from self._launched(first)

    def figures(self) -> dict[str, float | None]:
        """Return the longest case [s], the largest peak of memory [GiB], and the shares of both."""
        peak = max((a.outcome.peak_memory or 0 for a in self.answers), default=0) / GIB
        seconds = max((answer.outcome.seconds for answer in self.answers), default=0.0)
        return {
            "seconds": round(seconds, 3),
            "of_time": round(seconds / self.limits.timeout_s, 4),
            "peak_gib": round(peak, 3) if peak else None,
            "of_memory": round(peak / self.limits.memory_gib, 4) if peak else None,
        }

    def _margins(self) -> Iterator[Check]:
        figures = self.figures()
        limit = self.limits.timeout_s
        memory = self.limits.memory_gib
        title = f"time: {figures['seconds']:.3g} s of {limit:g} s, at most {MARGIN:.0%} of it"
        late = "a slower machine exceeds the limit" if (figures["of_time"] or 0) > MARGIN else ""
        if self.start_s > HEALTH_S:
            late = f"the start takes {self.start_s:.3g} s, and is given up after {HEALTH_S:g} s"
        yield _judged(title, late)
        if figures["peak_gib"] is None:
            yield Check("memory", "skip", "no control group to read the peak from")
            return
        much = "an image a little larger is killed" if (figures["of_memory"] or 0) > MARGIN else ""
        yield _judged(
            f"memory: {figures['peak_gib']:.3g} GiB of {memory:g} GiB, at most {MARGIN:.0%} of it",
            much,
        )

    def _launched(self, first: Sequence[Rehearsed]) -> Iterator[Check]:
        """Yield the checks by the platform's own launcher, or one that names the missing parts."""
        title = "a case over its limit between two others"
        engine = self.engine
        if (
            not isinstance(engine, DockerEngine)
            or find_spec("sagemaker_shim") is None
            or self.external
            or engine.models
            or engine.device != "cpu"
        ):
            yield Check(title, "skip", NEEDED)
            return
        case = self.cases[0]
        folder = self.folder / "launched"
        whole = case.input(self.task)
        inputs = {"first": whole, "late": self.folder / "renamed", "third": whole}
        seconds = dict.fromkeys(inputs, self.limits.timeout_s)
        seconds["late"] = min(LATE_S, *(answer.outcome.seconds / 4 for answer in self.answers))
        results = launch(engine, self.manifest.name, self.limits, inputs, seconds, folder)
        _, late = results.pop("late")
        reached = results.pop("reached")
        answers = []
        with Examiner() as examiner:
            for name, (code, message) in results.items():
                raw = folder / "out" / name
                status: Status = "non-zero exit" if code else "ok"
                outcome = Outcome(status, exit_code=code, message=message)
                answers.append(self._examined(case, raw, outcome, examiner))
        title = f"{SHIM} {version(SHIM)}: {title} ({late or 'it was done in time'})"
        yield _judged(title, _findings(answers) or _different(first, answers))
        yield _judged(REACHED, "" if reached == 200 else f"found {reached}; bind 0.0.0.0")

    def _run(self, api: Api, inputs: Sequence[tuple[Case, Path]]) -> list[Rehearsed]:
        """Return the answers to cases, given one after the other as the interface does."""
        name = self.manifest.name
        answers = []
        try:
            with (
                Examiner(lenient=self.external) as examiner,
                self.engine.session(name, self.folder / "session", self.limits, api) as session,
            ):
                for case, source in inputs:
                    folder = self.folder / f"answer-{len(self.answers):03}"
                    raw = folder / "output"
                    log = folder / "log.txt"
                    raw.mkdir(parents=True)
                    log.touch()
                    outcome = session.predict(source, raw, log)
                    lines = len(log.read_text(encoding="utf-8", errors="replace").splitlines())
                    answers.append(self._examined(case, raw, outcome, examiner, lines))
                    self.answers.append(answers[-1])
                self.start_s = max(self.start_s, session.startup_seconds)
        except StartError as error:
            failed = Outcome("non-zero exit", message=str(error))
            answers.append(Rehearsed("start", failed, self.folder, {}, plain(str(error)), 0))
        return answers

    def _examined(
        self, case: Case, raw: Path, outcome: Outcome, examiner: Examiner, lines: int = 0
    ) -> Rehearsed:
        """Return the answer to a case with its outputs, or the finding where it has failed."""
        outputs: Paths = {}
        finding = ""
        if outcome.status != "ok":
            finding = plain(f"{case.name}: {outcome.status}: {outcome.message}")
        else:
            main = case.main(self.task)
            geometry = None if main is None else header(main)
            try:
                outputs = examiner.examine(raw, self.task.outputs, geometry)
            except BadOutput as bad:
                finding = plain(f"{case.name}: {bad.status}: {bad}")
        return Rehearsed(case.name, outcome, raw, outputs, finding, lines)


def write_record(folder: Path, name: str, record: Entries) -> Path:
    """Write the record of a rehearsal, one per algorithm and interface, and return its path."""
    path = folder / f"rehearsals/{name}-{record['api']}.json"
    write_json(path, record)
    return path


def rehearsed(folder: Path, name: str, identity: str, api: str) -> Json | None:
    """Return the record of a rehearsal that was passed, None where there is none."""
    record = object_in(folder / f"rehearsals/{name}-{api}.json")
    good = record.get("passed") is True and record.get("identity") == identity
    return record if good else None


def _judged(title: str, finding: str) -> Check:
    return Check(title, "FAIL", finding) if finding else Check(title)


def _findings(answers: Sequence[Rehearsed]) -> str:
    """Return the first finding about cases, with the number of others; empty without any."""
    findings = [answer.finding for answer in answers if answer.finding]
    more = f" (and {len(findings) - 1} more)" if findings[1:] else ""
    return f"{findings[0]}{more}" if findings else ""


def _different(first: Sequence[Rehearsed], again: Sequence[Rehearsed]) -> str:
    """Return the first output that differs between two answers to a case, empty without any."""
    before = {answer.case: answer for answer in first}
    for answer in again:
        for slug, path in answer.outputs.items():
            if not same_output(before[answer.case].outputs[slug], path):
                return f"{answer.case}: {slug} differs; draw from a fixed seed, use no file's name"
    return ""


def same_output(one: Path, other: Path) -> bool:
    """Return whether two outputs hold the same: all values, axes and voxel size."""
    if one.suffix == ".json":
        return bool(read_json(one) == read_json(other))
    if one.suffix == ".csv":
        return file_digest(one) == file_digest(other)
    a = read(one)
    b = read(other)
    return a.axes == b.axes and a.spacing == b.spacing and bool(np.array_equal(a.array, b.array))


def _renamed(source: Path, target: Path) -> Path:
    """Copy a case's inputs under other file names and times, with a socket that no task knows."""
    shutil.copytree(source, target)
    for path in sorted((target / "images").rglob("*")):
        if path.is_file():
            renamed = path.with_name(f"{uuid5(OTHER_NAMES, path.name)}{path.suffix}")
            os.utime(path.rename(renamed), (LONG_AGO_S, LONG_AGO_S))
    listed = target / "inputs.json"
    listed.write_text(
        json.dumps([*read_json(listed), UNKNOWN] if listed.is_file() else [UNKNOWN]), "utf-8"
    )
    (target / PLACE["relative_path"]).write_text("1", "utf-8")
    return target


def launch(
    engine: DockerEngine,
    name: str,
    limits: Limits,
    inputs: Paths,
    seconds: FloatMap,
    folder: Path,
    api: Api = "invoke",
) -> Json:
    """Run cases within their seconds, in one start; return code and message of each by its name.

    `folder` may hold ``in/model.tar.gz`` and ``in/ground_truth.tar.gz``; ``out`` gets the outputs.
    """
    for case, place in inputs.items():
        (folder / "in" / case).mkdir(parents=True)
        give(place, folder / "in" / case)
    with daemon_errors(SHIM):
        image, flags = engine.container(name, limits, None)
        config = engine.client.images.get(image).attrs["Config"]
        write_json(folder / "request.json", {"api": api, "seconds": seconds, "config": config})
        entry = ["python3", f"{HOME}/{PROGRAM.name}"]
        flags |= {"read_only": False, "user": "0:0", "cap_add": ROOTS, "entrypoint": entry}
        places = {
            PROGRAM.name: PROGRAM,
            "packages": Path(str(distribution(SHIM).locate_file(""))),
            "buckets": folder,
        }
        folders = {f"{HOME}/{key}": path for key, path in places.items()}
        with sandbox(engine.client, image, (), folders, limits, flags, f"{HOME}/buckets") as box:
            code, line = box.end(HEALTH_S + sum(seconds.values()))
    if code != 0:
        raise InputError(f"{SHIM} ended with exit code {code}: {plain(line)}")
    return dict(read_json(folder / "results.json"))


def all_checks(rehearsal: Rehearsal, api: Api, profile: PlatformProfile) -> Iterator[Check]:
    """Yield the checks of a rehearsal, and those that this machine cannot make."""
    yield from rehearsal.checks(api)
    if profile.gpu and rehearsal.engine.device == "cpu":
        yield Check(
            f"GPU: {profile.gpu}", "skip", "run without one; DEVICE=cuda uses this machine's"
        )
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    if total < (limit := rehearsal.limits.memory_gib):
        yield Check(f"memory up to {limit:g} GiB", "skip", f"this machine has {total:.0f} GiB")


def rehearse_evaluation(
    run: Path, tarball: Path, folder: Path, built: Built | None, say: Say
) -> bool:
    """Judge a run by the evaluation, contained where possible; whether the scores agree."""
    scored = read_scored(run)
    equal = True
    with work_folder(folder) as scratch:
        truth = unpack(tarball, scratch / "truth")
        evaluation = read_evaluation(truth)
        if scored.said("fingerprint") != evaluation.fingerprint:
            raise InputError(
                f"{scored.place}: a run on other data than {evaluation.dataset} "
                f"({evaluation.size}) as asked for here; it was made by: {scored.said('command')}"
            )
        judge = partial(_judge_shut, truth, built) if built else partial(_judge, truth)
        for algorithm, key in scored.table("jobs").items():
            name = folder_of(algorithm)
            folder = scratch / name
            write_submission(scored.place / name, key, evaluation, folder / "input")
            judge(folder)
            judged = read_json(folder / "output" / METRICS)
            count, lines = differences(
                own_scores(scored.place, algorithm, evaluation.task), judged, evaluation
            )
            for line in lines[:SHOWN]:
                say(f"differs: {algorithm}: {line}")
            verdict = (
                f"{len(lines)} of {count} scores differ from" if lines else f"{count} scores, as in"
            )
            place = "in its container" if built else "as a plain process"
            say(f"evaluation {place}: {algorithm}: {verdict} the run")
            equal &= not lines
    return equal


def _judge(truth: Path, folder: Path) -> None:
    """Judge a submission by the evaluation in this process."""
    from cytosuite.benchmark.submission.judging.evaluate import Evaluator

    Evaluator(folder / "input", folder / "output", truth).run_case()


def _judge_shut(truth: Path, built: Built, folder: Path) -> None:
    """Judge a submission by the evaluation in its container."""
    builder, tag = built()
    output = folder / "output"
    output.mkdir()
    output.chmod(0o777)  # the user of the image is another one
    places = {"/input": folder / "input", "/output": output, TRUTH: truth}
    with (
        daemon_errors("rehearsal of the evaluation"),
        sandbox(builder.client, tag, ["exec"], places, Limits(), SHUT) as box,
    ):
        code, line = box.end()
    if code:
        raise InputError(f"{tag}: the evaluation ended with exit code {code}: {plain(line)}")
