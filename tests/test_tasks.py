"""Every task end to end with toys, in a checkout of its own, as plain processes and in containers."""

import re

import forks
import house
import pandas as pd
import pytest

from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json

# Dataset, algorithms (best first), primary metrics, controls, words of the page.
RUNS = {
    "segment": ("toy_cells", ("toy_threshold", "watershed"), ("SEG", "DET"), ("oracle", "blank")),
    "detect": ("toy_spots", ("toy_peaks", "toy_bright"), ("F1", "F1_area"), ("oracle", "blank")),
    "track": ("toy_films", ("toy_follow",), ("TRA", "SEG", "LNK"), ("oracle", "blank", "nearest")),
    "enhance": ("toy_pairs", ("toy_smooth", "toy_wreck"), ("SSIM",), ("oracle", "identity")),
    "synthesise": (
        "toy_sketches",
        ("toy_paint", "toy_colour"),
        ("W1_by_std", "lateral_spectrum_distance", "label_AUC"),
        ("identity", "real"),
    ),
    "fuse": ("toy_views", ("toy_mean",), ("SSIM", "N_SSIM"), ("oracle", "identity")),
}
LONG = ("synthesise", "fuse")
PLAIN = ["segment", "detect", "track", "enhance"]
PLAIN += [pytest.param(task, marks=pytest.mark.long) for task in LONG]
# Words that are true of other tasks alone; of the others see report/test_sections.py.
FOREIGN = {"detect": ("identity", "half of the reference", "SEG", "covers more than half")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a function that runs commands, in a checkout with toys of each task."""
    folder = tmp_path_factory.mktemp("house")
    algorithms = [name for name in house.PREDICT if name != "toy_tally"]
    datasets = [name for name in house.SAMPLES if name != "toy_counts"]
    house.build(folder / "house", algorithms=algorithms, datasets=datasets)
    runs = forks.Runs(folder / "house")
    words = ("toy_bare", "--seed", 7, "--size", "mini", "--out", "real")
    assert _command(runs, "simulate", *words)[0] == 0
    yield runs
    runs.base.communicate()


def _command(runs, *words):
    """Run a command in the checkout; return exit code and text."""
    return runs.end(runs.command(*words))


def _of(runs, task, engine):
    """Run the toys of a task; return the text and the report's folder."""
    dataset, algorithms, *_ = RUNS[task]
    more = ("--reference", "real") if task == "synthesise" else ()
    words = ("--size", "mini", "--engine", engine, "--algorithm", ",".join(algorithms), *more)
    code, text = _command(runs, "benchmark", dataset, *words, "--run", f"{task}-{engine}")
    assert code == 0, text
    return text, runs.home / f"runs/{task}-{engine}" / "report"


def _text(report):
    """Return the words of the page, without its tags."""
    page = (report / "index.html").read_text()
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def _markdown(report):
    """Return the report in Markdown without its escapes."""
    return (report / "report.md").read_text().replace("\\", "")


def _check(runs, task, engine):
    """Hold results and report of a task against what the toys must give."""
    if engine == "docker":  # the daemon may hold images of other sources
        code, text = _command(runs, "build", ",".join(RUNS[task][1]))
        assert code == 0, text
    _, report = _of(runs, task, engine)
    _, algorithms, primary, controls = RUNS[task]
    scores = pd.read_csv(report / "scores.csv", keep_default_na=False, na_values=[""])
    assert set(scores["algorithm"]) == {*algorithms, *controls}
    assert set(primary) <= set(scores["metric"])
    platform = read_json(report / "metrics.json")
    assert platform.get("best", algorithms[0]) == algorithms[0]
    assert set(primary) <= set(platform["aggregates"])
    for text in (_text(report), _markdown(report)):
        for control in controls:
            assert control in text
        for word in FOREIGN.get(task, ()):
            assert word not in text, word
        for name in primary:
            assert name in text
    again, _ = _of(runs, task, engine)
    assert f"{3 * len(algorithms)} results are there already" in again
    return scores


@pytest.mark.slow
@pytest.mark.parametrize("task", PLAIN)
def test_every_task_is_run_scored_ranked_and_reported(runs, task):
    _check(runs, task, "process")


@pytest.mark.long  # engines/test_main_job.py holds containers against processes each time
@pytest.mark.docker
@pytest.mark.parametrize("task", ["segment", "enhance", *LONG])
def test_every_task_runs_in_containers_with_the_same_scores(runs, task, base):
    contained = _check(runs, task, "docker")
    plain = _check(runs, task, "process")
    columns = ["case", "algorithm", "metric", "value"]
    pd.testing.assert_frame_equal(contained[columns], plain[columns])


def test_the_toys_cover_every_task():
    assert {*RUNS, "sample"} == set(TASKS)  # a sample has no truth, and no place


@pytest.mark.slow
def test_a_new_task_is_one_entry_and_its_board(tmp_path):
    home = house.build(
        tmp_path / "h", algorithms=["toy_tally"], datasets=["toy_counts"], tally=True
    )
    house.printed(
        house.command(home, "benchmark", "toy_counts", "--size", "mini", "--engine", "process")
    )
    (run,) = (home / "runs").glob("toy_counts-*")
    output = read_json(run / "toy_tally/toy_counts_01/output/cell-summary.json")
    assert output["model"] == "plain"
    assert output["total"] > 0
    assert "toy_tally finished 3 of 3 cases" in _markdown(run / "report")
