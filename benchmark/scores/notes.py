"""Sentences of a run for its reader: how values were obtained, and which are missing."""

from collections import defaultdict
from collections.abc import Sequence

from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.record import LEFT, Records, grouped
from cytosuite.benchmark.scores.answers import Answer
from cytosuite.contract.choice_warnings import ASSUMED
from cytosuite.contract.tasks import Task
from cytosuite.files import Lists
from cytosuite.formats import header
from cytosuite.metrics import Metrics
from cytosuite.metrics.boards import BOARDS


def of_scores(dataset: Dataset, task: Task, answers: Sequence[Answer], shown: Metrics) -> list[str]:
    """Return sentences on channels, data range and reference set, and on refused evidence."""
    notes = []
    if shown and any("C" in header(path).axes for path in dataset.mains(task)):
        notes.append("Of images with several channels the first one counts.")
    if any("data_range" in metric.evidence.needs for metric in shown):
        notes.append(
            "The data range of the image metrics is that of the true image of each case: its "
            "largest minus its smallest grey value."
        )
    if any(metric.scope == "set" for metric in shown):
        number = len(dataset.reference)
        images = (
            f"every second of the {number} real images; the others are the control real"
            if number > 1
            else "the only real image"
        )
        notes.append(f"Metrics of the whole set compare the outputs with {images}.")
    refused = defaultdict(list)
    for name in dict.fromkeys(name for answer in answers for name in answer.refused):
        lost = [answer for answer in answers if name in answer.refused]
        first = lost[0]
        reason = (
            f"{len(lost)} answers; the first is {first.algorithm} on "
            f"{first.case or 'the whole set'}: {first.refused[name]}"
        )
        refused[reason].append(name)
    notes += [f"{', '.join(names)}: not computed for {why}" for why, names in refused.items()]
    return notes


def of_warnings(records: Records) -> list[str]:
    """Return the warnings of each algorithm by kind; the dataset notes assumed voxel sizes."""
    warnings = defaultdict[str, Lists](dict)
    for (name, case), record in records.items():
        lines = [line for line in record.warnings if not line.startswith(ASSUMED)]
        warnings[name][case] = lines
    return [f"{name}: {line}." for name in warnings for line in grouped(warnings[name], "case")]


def given_up(records: Records) -> list[str]:
    """Return a note on each algorithm that was given up, as its first cases failed alike."""
    left = defaultdict(list)
    for (name, _), record in records.items():
        if record.message.startswith(LEFT):
            left[name].append(record)
    return [
        f"{name}: {len(lost)} cases were not run and count as failed, since its first cases all "
        f"failed alike ({lost[0].status}: {lost[0].message.removeprefix(LEFT)}); KEEP_GOING=1 runs "
        "them."
        for name, lost in left.items()
    ]


def unscored(task: Task) -> str:
    """Return the sentence that a reader must see first where nothing can be ranked."""
    if task.main_output is None:
        return "The outputs are JSON without a schema: the algorithms ran, but nothing is scored."
    if not BOARDS[task.name].families:
        return "A request has no truth: the algorithms ran, their outputs are counted and shown."
    if task.main_output.kind == "labels":
        return (
            "There are no labels: the algorithms ran and their objects are counted and shown, "
            "but SEG, DET, F1 and the other scores are not possible."
        )
    if task.main_output.kind == "points":
        return (
            "There are no true points: the algorithms ran and their points are counted and shown, "
            "but F1 and the other scores are not possible."
        )
    return (
        "There is no truth and no reference set: the algorithms ran and their outputs are "
        "shown, but scores are not possible."
    )
