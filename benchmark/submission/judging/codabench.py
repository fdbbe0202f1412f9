"""Scoring program of a competition on CodaBench: the evaluation as a plain process.

A participant's zip holds a file ``<socket>/<case>.<suffix>`` for each case and output.
"""

import sys
from functools import reduce
from math import inf, prod
from operator import getitem
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.submission.judging.evaluate import CASES, METRICS, Evaluator
from cytosuite.benchmark.submission.judging.evaluation import Evaluation, read_evaluation
from cytosuite.benchmark.submission.judging.submission import SUCCEEDED, AnsweredCase, lay_out
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, listed, plain
from cytosuite.errors.ending import end
from cytosuite.files import read_json, write_json
from cytosuite.folders.sides import named
from cytosuite.volume.memory import GIB

HEAD = "<!doctype html><meta charset=utf-8>\n"


def answers_in(folder: Path, evaluation: Evaluation) -> dict[str, AnsweredCase]:
    """Return the files that a participant handed in, by case; links and pipes are left out.

    A file larger than its image allows refuses the case by its status, and is not copied.
    """
    answers: dict[str, AnsweredCase] = {}
    for socket in TASKS[evaluation.task].outputs:
        place = folder / socket.slug
        if place.is_symlink() or not place.is_dir():  # a link leads to the truth
            continue
        images = {} if socket.is_file else named(place)
        for case in evaluation.cases:
            file = images.get(case.name, place / f"{case.name}{socket.suffix}")
            most = Limits(output_gib=inf).within(prod(case.geometry.header.shape)).output_gib * GIB
            if file.is_symlink() or not (file.is_file() or file.is_dir()):
                continue
            if sum(path.lstat().st_size for path in (file, *file.rglob("*"))) > most:
                answers[case.name] = AnsweredCase({}, f"Refused: {socket.slug} is too large")
            elif (answer := answers.setdefault(case.name, AnsweredCase({}))).status == SUCCEEDED:
                answers[case.name] = AnsweredCase({**answer.files, socket.slug: file})
    return answers


def score(inputs: Path, outputs: Path) -> None:
    """Write ``scores.json`` and a table of the cases; InputError where a set has no value."""
    evaluation = read_evaluation(inputs / "ref")
    res = inputs / "res"
    if not (answers := answers_in(res, evaluation)):
        place = f"{TASKS[evaluation.task].outputs[0].slug}/{evaluation.cases[0].name}.*"
        files = sorted(path for path in res.rglob("*") if not path.is_dir())
        there = listed([str(path.relative_to(res)) for path in files], 3) or "nothing"
        raise InputError(f"expected files like {place} at the top of the zip, found {there}")
    with TemporaryDirectory() as scratch:
        lay_out(answers, evaluation, Path(scratch))
        Evaluator(Path(scratch), outputs, inputs / "ref").run_case()
    judged = read_json(outputs / METRICS)
    table = pd.read_csv(outputs / CASES, dtype=str, keep_default_na=False)
    with pd.option_context("display.max_colwidth", None):  # else it cuts the reasons of failures
        page = f"{HEAD}{table.to_html(index=False)}\n"
    (outputs / "detailed_results.html").write_text(page, "utf-8")
    try:
        scores = {r.key: reduce(getitem, r.path.split("."), judged) for r in evaluation.ranked}
    except KeyError:  # a metric of the whole set without a worst value
        lost = "; ".join(f"{failure['case']}: {failure['reason']}" for failure in judged["failed"])
        lost = plain(lost) or "all are valid, but a metric of the whole set is undefined"
        raise InputError(f"{inputs}: expected a valid file for each case: {lost}") from None
    write_json(outputs / "scores.json", scores)


def main() -> int:
    """Score with the folders of the command line, and return the exit code."""
    inputs, outputs = sys.argv[1:]
    score(Path(inputs), Path(outputs))
    return 0


if __name__ == "__main__":
    end(main)
