"""The rehearsal of an evaluation: it judges the outputs of a run, with the scores of the run."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from cytosuite.benchmark.catalog.places import folder_of
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.images.daemon import daemon_errors
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.engines.sandbox import sandbox
from cytosuite.benchmark.scores.comparison.scored import read_scored
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.submission import (
    differences,
    own_scores,
    write_submission,
)
from cytosuite.contract.words import Say
from cytosuite.errors import InputError, plain
from cytosuite.files import read_json, work_folder
from cytosuite.files.tarball import unpack

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
