"""Entry point of an evaluation container: the outputs of a submission to ``metrics.json``.

``exec`` evaluates ``/input`` once, ``invoke`` answers requests as `cytosuite.container` does. Cases
that fail or lack outputs have the worst value of each metric and count in the mean. The ground
truth lies in ``/opt/ml/input/data/ground_truth``; where it may be written, a copy is judged by.
"""

import os
import sys
import tempfile
from dataclasses import replace
from math import inf, prod
from pathlib import Path
from shutil import copyfile, copytree
from weakref import finalize

from cytosuite import __version__
from cytosuite.benchmark.engines import collect as gate
from cytosuite.benchmark.engines.outcome import Limits, Outcome
from cytosuite.benchmark.runs import examine, plan, run, validate
from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.benchmark.scores import blind, controls, platform, score, standings
from cytosuite.benchmark.submission.judging import evaluation, submission
from cytosuite.container import command_parser, execute
from cytosuite.contract.call import delivered, look
from cytosuite.contract.tasks import TASKS, Socket
from cytosuite.files import Json, TextDict, TextMap, TextSeq, remove, write_json
from cytosuite.metrics import board_metrics
from cytosuite.metrics.boards import CONTROLS

GROUND_TRUTH = "/opt/ml/input/data/ground_truth"
NAME = "submission"
METRICS = "metrics.json"
CASES = "cases.csv"


class Evaluator:
    """An evaluation that is loaded once and scores submissions; InputError without its truth."""

    def __init__(self, inputs: Path, outputs: Path, truth: Path) -> None:
        self.inputs = inputs
        self.outputs = outputs
        if os.access(truth, os.W_OK):  # as the platform's launcher makes it
            home = Path(tempfile.mkdtemp(prefix="truth-"))
            finalize(self, remove, home)
            truth = copytree(truth, home / "copy", copy_function=_locked)
        self.evaluation = evaluation.read_evaluation(truth)
        self.dataset = self.evaluation.dataset_in(truth)
        self.geometries = {case.name: case.geometry.header for case in self.evaluation.cases}
        self.task = TASKS[self.evaluation.task]
        board_metrics(self.task.name)  # loads the metrics

    def run_case(self) -> Json:
        """Score to metrics.json in 350 MiB + 20 B per voxel; RuntimeError if a control misses."""
        remove(self.outputs / METRICS)
        path = self.inputs / "predictions.json"
        jobs = submission.by_case(submission.read_predictions(path), self.evaluation.images, path)
        with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
            answerer = plan.Answerer(NAME, "", NAME, Path(folder))
            with examine.Examiner(lenient=True) as examiner:
                for case in self.dataset.cases:
                    look()
                    self._take(answerer, case, jobs.get(case.name), examiner)
            scores = score.score(self.dataset, self.task, [answerer])
        if broken := controls.broken_rulers(scores.table, scores.metrics):
            raise RuntimeError(broken[0])
        content = self._content(scores)
        failed = {failure["case"]: failure["reason"] for failure in content["failed"]}
        names = list(dict.fromkeys(name for row in content["case"].values() for name in row))
        with delivered(self.outputs) as place:
            rows = (
                [case, failed.get(case, ""), *(row.get(name, "") for name in names)]
                for case, row in content["case"].items()
            )
            write_rows(place / CASES, [["case", "failed", *names]], rows)  # for people
            write_json(place / METRICS, content)
        return {"warnings": [f"{case}: {reason}" for case, reason in failed.items()]}

    def _take(
        self,
        answerer: plan.Answerer,
        case: Case,
        submitted: submission.SubmittedJob | None,
        examiner: examine.Examiner,
    ) -> None:
        """Copy the valid outputs of a case into the folder of results, with a record of it."""
        folder = answerer.folder / case.name
        geometry = self.geometries[case.name]
        raw = folder / "raw"
        raw.mkdir(parents=True)
        outcome = self._collected(submitted, raw, prod(geometry.shape))
        outputs = TextDict()
        lost = list[str]()
        if outcome.status == "ok" and submitted is not None:
            try:
                sockets = [_placed(socket, submitted.places) for socket in self.task.outputs]
                outputs, lost = run.keep_outputs(
                    raw, folder, case.name, sockets, geometry, examiner
                )
            except validate.BadOutput as finding:
                outcome = replace(outcome, status=finding.status, message=str(finding))
        remove(raw)
        run.write_result(
            answerer, case, folder, outcome, outputs=outputs, reported={"warnings": lost}
        )

    def _collected(
        self, submitted: submission.SubmittedJob | None, raw: Path, voxels: int
    ) -> Outcome:
        """Copy the outputs of a job on an image of so many voxels, and return how it ended."""
        if submitted is None:
            return Outcome("missing output", message="the submission has no job of it")
        if submitted.status != submission.SUCCEEDED:
            reason = f"the job ended with the status {submitted.status}"
            return Outcome("non-zero exit", message=reason)
        source = self.inputs / submitted.pk / "output"
        if source.is_symlink() or not source.is_dir():
            reason = f"{submitted.pk}/output: expected a folder, found none"
            return Outcome("missing output", message=reason)
        return gate.collect(Outcome("ok"), source, raw, Limits(output_gib=inf).within(voxels))

    def _content(self, scores: score.Scores) -> Json:
        """Return ``metrics.json`` by names of images: it tells no more than a blind report."""
        metrics = [metric for metric in scores.metrics if not blind.tells(metric)]
        entry = next(
            entry
            for entry in standings.leaderboard(scores.table, scores.pooled, metrics, {}, CONTROLS)
            if entry.algorithm == NAME
        )
        layout = platform.platform_layout(entry, metrics, scores.table)
        images = self.evaluation.images
        records = {(NAME, images[case]): record for (_, case), record in scores.records.items()}
        ended = {images[case]: records[NAME, images[case]] for case in layout["failed"]}
        return {
            "case": {images[case]: blind.blind_row(row) for case, row in layout["case"].items()},
            "aggregates": {key: blind.blind_row(row) for key, row in layout["aggregates"].items()},
            "failed": [
                {
                    "case": image,
                    "reason": f"{record.status}: {record.message}".removesuffix(": "),
                }
                for image, record in ended.items()
            ],
            "evaluation": {  # no fingerprint: a participant could find the seed by trial
                "dataset": self.evaluation.dataset,
                "cytosuite": __version__,
                "notes": [*scores.notes, *score.of_warnings(records)],
            },
        }


def main(arguments: TextSeq | None = None) -> int:
    """Execute a command of the container with the platform's folders, and return its exit code."""
    parser = command_parser("cytosuite.benchmark.submission.judging.evaluate", str(__doc__))
    truth = os.environ.get("CYTOSUITE_GROUND_TRUTH") or GROUND_TRUTH
    parser.add_argument("--ground-truth", type=Path, default=truth, help="folder of the truth")
    chosen = parser.parse_args(arguments)
    return execute(
        chosen.command, lambda: Evaluator(chosen.input, chosen.output, chosen.ground_truth)
    )


def _locked(source: str, target: str) -> None:
    """Copy a file that is only read from now on."""
    Path(copyfile(source, target)).chmod(0o400)


def _placed(socket: Socket, places: TextMap) -> Socket:
    """Return an output socket in the folder that the platform lists for it."""
    place = places.get(socket.slug) or socket.relative_path
    if socket.is_file or place == socket.relative_path:
        return socket
    folder = place.removeprefix("images/")
    if folder == place:
        raise validate.BadOutput(
            "bad output", f"{socket.slug}: expected a path images/..., found {place}"
        )
    return replace(socket, folder=folder)


if __name__ == "__main__":
    sys.exit(main())
