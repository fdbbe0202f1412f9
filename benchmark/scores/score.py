"""Score a run, case by case and as a set: a long table, pooled values, notes for its reader."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import nan
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from cytosuite.benchmark.runs.data.dataset import Case, Dataset
from cytosuite.benchmark.runs.plan import Answerer
from cytosuite.benchmark.runs.record import LEFT, ModelChoice, Records, grouped
from cytosuite.benchmark.runs.store.pool import Lost, Pool, Processes
from cytosuite.benchmark.scores import cases, facts
from cytosuite.benchmark.scores.answers import Answer
from cytosuite.benchmark.scores.controls import control_answer
from cytosuite.benchmark.scores.standings import CASE, COLUMNS
from cytosuite.contract.choice_warnings import ASSUMED
from cytosuite.contract.tasks import LABELS, Task
from cytosuite.errors import InputError
from cytosuite.files import Lists, TextMap, TextPair, Texts, TextSeq
from cytosuite.formats import header
from cytosuite.metrics import AnyMetric, Metrics, board_metrics
from cytosuite.metrics.boards import BOARDS, Control
from cytosuite.metrics.evidence import Facts, Gathered

WORDS = (*CASE, "algorithm", "model", "status")
Progress = Callable[[float, int, str], None]


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
        warnings[name][case] = [line for line in record.warnings if not line.startswith(ASSUMED)]
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


def score_sets(
    dataset: Dataset,
    task: Task,
    metrics: Metrics,
    answerers: Sequence[Answerer],
    answers: Sequence[Answer],
) -> Iterator[Answer]:
    """Yield scores on the whole set, against every second reference image; others are ``real``."""
    offered = offered_in_set(dataset, metrics)
    if not offered:
        return
    real, rest, objects = _sides(dataset)
    labels = {case.name: reader for case, reader in zip(dataset.cases, objects, strict=False)}
    for control in BOARDS[task.name].controls:
        images = (
            rest if control == "real" else facts.ImageSet(_answers(control, dataset, task), objects)
        )
        if images.images:
            yield cases.measure(control, "", offered, facts.set_facts(real, images))
    for answerer in answerers:
        name = answerer.name
        folder = answerer.folder
        by_case = {a.case: a.record for a in answers if a.algorithm == name and a.record}
        failed = [record.status for record in by_case.values() if not record.ok]
        outputs = _readers([cases.output_path(r, folder / c, task) for c, r in by_case.items()])
        images = facts.ImageSet(outputs, [labels[case] for case in by_case if labels])
        set_facts = Facts({}) if failed else facts.set_facts(real, images)
        if by_case:
            yield cases.measure(name, "", offered, set_facts, status=(*failed, "ok")[0])


def offered_in_set(dataset: Dataset, metrics: Metrics) -> list[AnyMetric]:
    """Return the metrics of the whole set that a dataset allows, given outputs."""
    of_sets = [metric for metric in metrics if metric.scope == "set"]
    if not of_sets or not dataset.reference:
        return []
    real, _, objects = _sides(dataset)
    possible = facts.set_facts(real, facts.ImageSet((), objects))
    return [metric for metric in of_sets if not metric.evidence.missing(possible)]


def _sides(dataset: Dataset) -> tuple[facts.ImageSet, facts.ImageSet, list[facts.Reader]]:
    """Return the two halves of the reference set, and the labels of the cases."""
    paths = sorted(dataset.reference, key=lambda path: path.name)
    real, rest = (
        facts.ImageSet(
            _readers(half),
            _readers([(dataset.reference_labels or {}).get(path) for path in half]),
        )
        for half in (paths[0::2], paths[1::2])
    )
    return real, rest, _readers([case.socket(LABELS.slug) for case in dataset.cases])


def _readers(paths: Sequence[Path | None]) -> list[facts.Reader]:
    """Return a reader of each file; none at all where one is missing."""
    return [] if None in paths else [*map(facts.once, filter(None, paths))]


def _answers(control: Control, dataset: Dataset, task: Task) -> list[facts.Reader]:
    """Return the answer of a control to each case; none at all where one is missing."""
    readers = [cases.case_readers(case, task) for case in dataset.cases]
    answers = [  # others than the oracle need not decode the truth
        control_answer(control, case["truth"] if control == "oracle" else None, case["image"])
        for case in readers
    ]
    return [] if None in answers else [*filter(None, answers)]


class Scores(NamedTuple):
    """Values of all metrics of a run."""

    table: pd.DataFrame  # `COLUMNS`; no case: of the whole set, no metric: nothing to score
    pooled: Mapping[TextPair, float]  # all cases taken as one
    metrics: tuple[AnyMetric, ...]  # with gathered evidence, primary ones first
    records: Records  # how each case went
    evidence: Mapping[TextPair, Gathered]  # to be pooled
    primary: Texts = ()  # names of those to rank by
    notes: Texts = ()  # on how values were obtained, and on missing ones


def score(
    dataset: Dataset,
    task: Task,
    answerers: Sequence[Answerer],
    progress: Progress = lambda *_: None,
    pool: Pool | None = None,
) -> Scores:
    """Return the scores of controls and algorithms on all cases with a record, a case at a time."""
    metrics = board_metrics(task.name) if task.main_output else ()
    answers = _of_cases(dataset, task, answerers, progress, pool or Processes())
    progress(len(dataset.cases) - 0.5, len(dataset.cases), "all cases together")
    answers += [*score_sets(dataset, task, metrics, answerers, answers)]
    origins = {case.name: case.stated().dataset or dataset.name for case in dataset.cases}
    scores = scores_of(answers, metrics, dataset.name, origins)
    primary = tuple(m.name for m in scores.metrics if m.name in BOARDS[task.name].primary)
    return scores._replace(
        primary=primary,
        pooled=scores.pooled if primary else {},
        notes=tuple(of_scores(dataset, task, answers, scores.metrics)),
    )


def scores_of(
    answers: Sequence[Answer],
    metrics: Metrics,
    dataset: str = "",
    origins: TextMap = MappingProxyType({}),
) -> Scores:
    """Return answers as one table, a case of `origins` with its own dataset, and pooled values."""
    valued = {name for answer in answers for name in answer.values if name not in answer.refused}
    shown = tuple(metric for metric in metrics if metric.name in valued)
    return Scores(
        _table(answers, [origins.get(answer.case, dataset) for answer in answers], shown),
        _pooled(answers, shown),
        shown,
        records={(a.algorithm, a.case): a.record for a in answers if a.record is not None},
        evidence={(a.algorithm, a.case): a.evidence for a in answers if a.evidence},
    )


def _of_cases(
    dataset: Dataset, task: Task, answerers: Sequence[Answerer], progress: Progress, pool: Pool
) -> list[Answer]:
    """Return the answers for all cases, in their order."""
    judged = dataset.cases
    answers: list[list[Answer]] = [[] for _ in judged]
    choices: dict[str, ModelChoice] = {}
    if judged:
        progress(0, len(judged), judged[0].name)
    scored = pool.each(partial(_of_case, task, answerers), judged)
    for done, (number, scores) in enumerate(scored, start=1):
        if isinstance(scores, Lost):
            raise InputError(f"{judged[number].name}: not scored, {scores.reason}; run again")
        answers[number] = [_sharing(answer, choices) for answer in scores]
        if done < len(judged):
            progress(done, len(judged), judged[min(number + 1, len(judged) - 1)].name)
    return [answer for scores in answers for answer in scores]


def _sharing(answer: Answer, choices: dict[str, ModelChoice]) -> Answer:
    """Return an answer that shares its choice of a model with equal answers: it takes 10 KB."""
    if answer.record is None:
        return answer
    choice = answer.record.selection
    choice = choices.setdefault(choice.model_dump_json(), choice)
    return replace(answer, record=answer.record.model_copy(update={"selection": choice}))


def _of_case(task: Task, answerers: Sequence[Answerer], case: Case) -> list[Answer]:
    """Return the answers for one case."""
    metrics = board_metrics(task.name) if task.main_output else ()
    return list(cases.score_case(case, task, metrics, answerers))


def _table(answers: Sequence[Answer], datasets: TextSeq, shown: Metrics) -> pd.DataFrame:
    """Return a row per answer and metric; a case without any has one row without a metric."""
    rows = []
    for dataset, answer in zip(datasets, answers, strict=True):
        record = answer.record
        nothing = [""] if answer.case else []
        model, seconds, memory = "", nan, None
        if record is not None:
            model, seconds, memory = record.model, record.seconds or nan, record.peak_memory
        names = [metric.name for metric in shown if metric.name in answer.values] or nothing
        values = [answer.values.get(name, nan) for name in names]
        front = dataset, answer.case, answer.algorithm, model
        if names:
            rows.append((*front, names, values, answer.status, seconds, memory))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(WORDS, "category"))
    table = table.explode(["metric", "value"], ignore_index=True)  # three rows in a hundred bytes
    return table.astype({"metric": "category", "value": float})


def _pooled(answers: Sequence[Answer], shown: Metrics) -> dict[TextPair, float]:
    """Return the pooled values of each answer: of all cases with evidence."""
    parts = defaultdict(list)
    for answer in answers:
        for kind, part in answer.evidence.items():
            parts[answer.algorithm, kind].append(part)
    wholes = {key: key[1].pool(gathered) for key, gathered in parts.items() if key[1].pool}
    return {
        (algorithm, metric.name): metric.of(whole)
        for (algorithm, kind), whole in wholes.items()
        for metric in shown
        if metric.evidence is kind
    }
