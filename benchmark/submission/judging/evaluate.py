"""Entry point of an evaluation container: the outputs of a submission to ``metrics.json``.

``exec`` evaluates the submission in ``/input`` once; ``invoke`` answers the platform's requests, as
the containers of algorithms do (`cytosuite.container`). The ground truth lies in
``/opt/ml/input/data/ground_truth``, see `cytosuite.benchmark.submission.judging.evaluation`.

The scores are those of a benchmark: outputs pass the same checks, become the results of a job, and
are scored by the same functions. A case that failed, or that the submission lacks, has the worst
value of each metric and counts in the mean.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, isnan, prod
from pathlib import Path
from typing import Any

from cytosuite import __version__
from cytosuite.benchmark.csvfile import written
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.collect import collect
from cytosuite.benchmark.engines.outcome import Limits, Outcome
from cytosuite.benchmark.examine import Examiner
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.record import Record
from cytosuite.benchmark.results.blind import blind_row, tells
from cytosuite.benchmark.results.controls import CONTROLS, broken_rulers
from cytosuite.benchmark.results.platform import platform_layout
from cytosuite.benchmark.results.score import Scores, score
from cytosuite.benchmark.results.standings import leaderboard
from cytosuite.benchmark.run import keep_outputs, write_result
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.predictions import (
    SUCCEEDED,
    SubmittedJob,
    by_case,
    read_predictions,
)
from cytosuite.benchmark.validate import BadOutput
from cytosuite.container import command_parser, execute
from cytosuite.files import remove, write_json
from cytosuite.manifest import AlgorithmManifest
from cytosuite.metrics import board_metrics
from cytosuite.tasks import TASKS, Socket

GROUND_TRUTH = "/opt/ml/input/data/ground_truth"
NAME = "submission"  # of the job
METRICS, CASES = "metrics.json", "cases.csv"


class Evaluator:
    """An evaluation that is loaded once and scores submissions.

    Parameters
    ----------
    inputs, outputs : Path
        ``/input`` and ``/output``, or folders of the same layout.
    truth : Path
        Folder of the ground truth.

    Raises
    ------
    InputError
        If the ground truth is missing or wrong.
    """

    def __init__(self, inputs: Path, outputs: Path, truth: Path) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.evaluation = read_evaluation(truth)
        self.dataset = self.evaluation.dataset_in(truth)
        self.geometries = {case.name: case.geometry.header for case in self.evaluation.cases}
        self.task = TASKS[self.evaluation.task]
        board_metrics(self.task.name)  # loads the metrics

    def run_case(self) -> dict[str, Any]:
        """Score the submission in the input folder and write ``metrics.json``, whole or not at all.

        Returns
        -------
        dict
            ``warnings``: a line for each failed case.

        Raises
        ------
        InputError
            If ``predictions.json`` is wrong, or its jobs do not match the cases.
        RuntimeError
            If a control misses its value: no score can be trusted.

        Notes
        -----
        One case after another: their metrics use all cores. The temporary folder holds a copy of
        all outputs. Memory of labels, measured: 350 MiB and 20 bytes per voxel of the largest case.
        """
        remove(self.outputs / METRICS)
        path = self.inputs / "predictions.json"
        jobs = by_case(read_predictions(path), self.evaluation.images, path)
        with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
            job = Job(_manifest(self.task.name), NAME, Path(folder), (), len(jobs))
            with Examiner(lenient=True) as examiner:
                for case in self.dataset.cases:
                    self._take(job, case, jobs.get(case.name), examiner)
            scores = score(self.dataset, self.task, [job])
        if broken := broken_rulers(scores.table, scores.metrics):
            raise RuntimeError(broken[0])
        content = self._content(scores)
        _write_table(self.outputs / CASES, content)
        write_json(self.outputs / METRICS, content)
        return {"warnings": [f"{one['case']}: {one['reason']}" for one in content["failed"]]}

    def _take(self, job: Job, case: Case, found: SubmittedJob | None, examiner: Examiner) -> None:
        """Copy the valid outputs of a case into the job's folder, with a record of it."""
        folder, geometry = job.folder / case.name, self.geometries[case.name]
        raw = folder / "raw"
        raw.mkdir(parents=True)
        outcome = self._collected(found, raw, prod(geometry.shape))
        outputs, lost = dict[str, str](), list[str]()
        if outcome.status == "ok" and found is not None:
            try:
                sockets = [_placed(socket, found.places) for socket in self.task.outputs]
                outputs, lost = keep_outputs(raw, folder, case.name, sockets, geometry, examiner)
            except BadOutput as finding:
                outcome = replace(outcome, status=finding.status, message=str(finding))
        remove(raw)
        write_result(job, case, folder, outcome, outputs=outputs, reported={"warnings": lost})

    def _collected(self, found: SubmittedJob | None, raw: Path, voxels: int) -> Outcome:
        """Copy the outputs of a job on an image of so many voxels, and return how it ended."""
        ended = Outcome("ok", 0.0, None, None)
        if found is None:
            return replace(
                ended, status="missing output", message="the submission has no job of it"
            )
        if found.status != SUCCEEDED:
            message = f"the job ended with the status {found.status}"
            return replace(ended, status="non-zero exit", message=message)
        source = self.inputs / found.pk / "output"
        if source.is_symlink() or not source.is_dir():
            message = f"{found.pk}/output: expected a folder, found none"
            return replace(ended, status="missing output", message=message)
        return collect(ended, source, raw, Limits(output_gib=inf).within(voxels))

    def _content(self, scores: Scores) -> dict[str, Any]:
        """Return the content of ``metrics.json``, cases by the names of their images.

        Participants read it: it tells no more of the truth than a blind report.
        """
        table, metrics = scores.table, [metric for metric in scores.metrics if not tells(metric)]
        own = table[table["algorithm"] == NAME]
        values = {metric.name: _values(own[own["metric"] == metric.name]) for metric in metrics}
        found = leaderboard(table, scores.pooled, metrics, scores.primary, CONTROLS)
        entry = next(entry for entry in found if entry.algorithm == NAME)
        records = {case: record for (_, case), record in scores.records.items()}
        layout, images = platform_layout(entry, metrics, values, records), self.evaluation.images
        return {
            "case": {images[case]: blind_row(row) for case, row in layout["case"].items()},
            "aggregates": {key: blind_row(row) for key, row in layout["aggregates"].items()},
            "failed": [
                {"case": images[case], "reason": _reason(records[case])}
                for case in layout["failed"]
            ],
            "evaluation": {  # no fingerprint: a participant could find the seed by trial
                "dataset": self.evaluation.dataset,
                "cytosuite": __version__,
                "notes": list(scores.notes),
            },
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute a command of the container and return its exit code.

    Defaults are ``CYTOSUITE_INPUT``, ``CYTOSUITE_OUTPUT`` and ``CYTOSUITE_GROUND_TRUTH`` in the
    environment, then the platform's folders.
    """
    parser = command_parser("cytosuite.benchmark.submission.judging.evaluate", str(__doc__))
    truth = os.environ.get("CYTOSUITE_GROUND_TRUTH") or GROUND_TRUTH
    parser.add_argument("--ground-truth", type=Path, default=truth, help="folder of the truth")
    chosen = parser.parse_args(arguments)
    return execute(
        chosen.command, lambda: Evaluator(chosen.input, chosen.output, chosen.ground_truth)
    )


def _manifest(task: str) -> AlgorithmManifest:
    """Return a manifest for the unknown algorithm behind a submission."""
    facts = {"version": "0.0.0", "title": "Submission", "description": "Outputs of a submission."}
    return AlgorithmManifest(name=NAME, task=task, authors=(), license="", **facts)


def _placed(socket: Socket, places: Mapping[str, str]) -> Socket:
    """Return an output socket in the folder that the platform lists for it."""
    place = places.get(socket.slug) or socket.relative_path
    if socket.kind == "json" or place == socket.relative_path:
        return socket
    folder = place.removeprefix("images/")
    if folder == place:
        raise BadOutput("bad output", f"{socket.slug}: expected a path images/..., found {place}")
    return replace(socket, folder=folder)


def _values(rows: Any) -> dict[str, float]:  # noqa: ANN401 - a table of pandas
    """Return the defined values by case; empty for a metric of the whole set."""
    pairs = zip(rows["case"].tolist(), rows["value"].tolist(), strict=True)
    return {case: value for case, value in pairs if case and not isnan(value)}


def _reason(record: Record) -> str:
    """Return why a case failed."""
    return f"{record.status}: {record.message}".removesuffix(": ")


def _write_table(path: Path, content: Mapping[str, Any]) -> None:
    """Write the scores of single cases as a table for people."""
    failed = {one["case"]: one["reason"] for one in content["failed"]}
    names = list(dict.fromkeys(name for row in content["case"].values() for name in row))
    with written(path) as add:
        add([["case", "failed", *names]])
        for case, row in content["case"].items():
            add([[case, failed.get(case, ""), *(row.get(name, "") for name in names)]])


if __name__ == "__main__":
    sys.exit(main())
