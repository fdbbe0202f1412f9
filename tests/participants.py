"""Small data of each kind, predictions of participants for it, and reports in this process."""

import csv
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import layouts
import numpy as np
from rich.console import Console
from toys import put

from cytosuite.benchmark.commands.options.report import ReportOptions
from cytosuite.benchmark.commands.options.score import ScoreOptions
from cytosuite.benchmark.commands.report import report_command
from cytosuite.benchmark.commands.score import layout, score_files
from cytosuite.benchmark.runs.examine import Examiner
from cytosuite.contract.points import Points
from cytosuite.files import write_json, write_text

CASES, SPACING, SHAPE = ("a", "b"), (0.5, 0.5), (16, 20)
TASKS = {"labels": "segment", "images": "enhance", "points": "detect", "tables": "detect"}
TRUTHS = {"segment": "labels", "enhance": "enhanced-image", "detect": "points"}
ENDS = {"labels": ".tif", "images": ".tif", "points": ".json", "tables": ".csv"}
PLACES = np.array([[6.0, 3.0], [6.0, 12.0], [2.0, 7.0]])


def squares(shift=0):
    """Return labels of two squares."""
    labels = np.zeros(SHAPE, np.uint16)
    for label, start in enumerate((1, 10), 1):
        labels[3 + shift : 9, start : start + 6] = label
    return labels


def answer(path, shift=0):
    """Write an answer in the format of its folder and name, `shift` pixels off the truth."""
    if path.suffix == ".csv":
        rows = "".join(f"{y + shift},{x},3\n" for y, x in PLACES)
        write_text(path, f"y,x,cell\n{rows}")
    elif path.suffix == ".json":
        write_json(path, Points(PLACES + np.array([shift, 0]), SPACING, cells=[1, 2, 0]).document())
    else:
        grey = path.parent.name.startswith(("enhanced", "images"))
        array = squares(shift) * (np.float32(0.3) if grey else np.uint16(1))
        if path.suffix == ".png":
            layouts.grey(path, array)
            return
        put(path, array)


def data(home, kind, cases=CASES):
    """Write images with the truth that answers of a kind are scored on; return their folder."""
    noise = np.random.default_rng(0).random(SHAPE, np.float32)
    for name in cases:
        put(home / f"data/images/{name}.tif", squares() + noise)
        end = ENDS["points" if kind == "tables" else kind]
        answer(home / "data" / TRUTHS[TASKS[kind]] / f"{name}{end}")
    return home / "data"


def team(home, kind, name, cases=CASES):
    """Write the answers of a team that are a pixel off; return their folder."""
    for case in cases:
        answer(home / kind / name / f"{case}{ENDS[kind]}", 1)
    return home / kind / name


@contextmanager
def one_reader():
    """Let one process read the outputs of all runs, in place of one for each; a fault ends it alone."""
    idle = []

    def begin(examiner):
        if examiner._process is None and idle:
            examiner._process = idle.pop()
        return start(examiner)

    def leave(examiner, *error):
        process = examiner._process
        if error == (None, None, None) and process is not None and process.poll() is None:
            idle.append(process)
            examiner._process = None
        end(examiner)

    start = Examiner._start
    end = Examiner.__exit__
    Examiner._start = begin
    Examiner.__exit__ = leave
    try:
        yield
    finally:
        Examiner._start = start
        Examiner.__exit__ = end
        for process in idle:
            with process:
                process.kill()


def report(out, *sources, **options):
    """Make a report in a folder: exit code and output."""
    said = Console(file=StringIO(), width=2000)
    settings = ReportOptions(sources=[str(source) for source in sources], out=out, **options)
    code = report_command(settings, said)
    assert (Path(out) / "report/index.html").is_file()
    return code, said.file.getvalue()


def scored(truth, prediction, metrics=(), **more):
    """Return the scores of files as JSON has them."""
    return layout(
        score_files(ScoreOptions(truth=truth, prediction=prediction, metrics=metrics, **more))
    )


def scores(out, algorithm):
    """Return the scores of an algorithm by case and metric, as texts."""
    with (Path(out) / "report/scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["algorithm"] == algorithm]
    return {(row["case"], row["metric"]): row["value"] for row in rows}
