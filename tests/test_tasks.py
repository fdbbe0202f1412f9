"""Every task end to end with toys, in a checkout of its own, as plain processes and in containers."""

import json
import re
from pathlib import Path

import house
import pandas as pd
import pytest

from cytosuite.contract.tasks import TASKS

# Dataset, algorithms (best first), primary metrics, controls, words of the page.
RUNS = {
    "segment": ("toy_cells", ("toy_threshold", "watershed"), ("SEG", "DET"), ("oracle", "blank")),
    "detect": ("toy_spots", ("toy_peaks", "toy_bright"), ("F1", "F1_area"), ("oracle", "blank")),
    "track": ("toy_films", ("toy_follow",), ("TRA", "SEG", "LNK"), ("oracle", "blank", "nearest")),
    "enhance": ("toy_pairs", ("toy_smooth", "toy_wreck"), ("SSIM",), ("oracle", "identity")),
    "synthesise": (
        *("toy_sketches", ("toy_paint", "toy_colour")),
        *(("W1_by_std", "lateral_spectrum_distance", "label_AUC"), ("identity", "real")),
    ),
    "fuse": ("toy_views", ("toy_mean",), ("SSIM", "N_SSIM"), ("oracle", "identity")),
}
LONG = [pytest.param(task, marks=pytest.mark.long) for task in ("synthesise", "fuse")]
PLAIN = ["segment", "detect", "track", "enhance", *LONG]
CONTAINED = ["segment", pytest.param("enhance", marks=pytest.mark.long), *LONG]
# Words that are true of one task alone.
FOREIGN = {
    "segment": ("identity", "half of the reference"),
    "detect": ("identity", "half of the reference", "SEG", "covers more than half"),
    "track": ("identity", "half of the reference"),
    "enhance": ("objects were", "of the objects", "empty answer", "blank"),
    "synthesise": ("objects were", "of the objects", "empty answer", "blank", "the truth itself"),
    "fuse": ("objects were", "of the objects", "empty answer", "blank"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a checkout with a toy algorithm and a toy dataset of each task."""
    folder = tmp_path_factory.mktemp("house")
    algorithms = [name for name in house.PREDICT if name != "toy_tally"]
    datasets = [name for name in house.SAMPLES if name != "toy_counts"]
    house.build(folder / "house", algorithms=algorithms, datasets=datasets)
    simulated = ("simulate", "toy_bare", "--seed", 7, "--size", "mini", "--out", "real")
    assert house.command(folder / "house", *simulated).returncode == 0
    return folder / "house"


def _run(home, dataset, *words, engine="process", size="mini"):
    sized = ("--size", size) if size else ()
    return house.command(home, "benchmark", dataset, *sized, "--engine", engine, *words)


def _of(home, task, engine="process", *words):
    """Run the toys of a task and return the finished process and the report's folder."""
    dataset, algorithms, *_ = RUNS[task]
    more = ("--reference", "real") if task == "synthesise" else ()
    run = ("--run", f"{task}-{engine}")
    done = _run(
        home, dataset, "--algorithm", ",".join(algorithms), *more, *run, *words, engine=engine
    )
    return done, home / "runs" / f"{task}-{engine}" / "report"


def _text(report: Path) -> str:
    """Return the words of the page, without its tags."""
    page = (report / "index.html").read_text()
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def _markdown(report: Path) -> str:
    """Return the report in Markdown without its escapes."""
    return (report / "report.md").read_text().replace("\\", "")


def _check(home, task, engine):
    """Hold results and report of a task against what the toys must give."""
    if engine == "docker":  # the daemon may hold images of other sources
        built = house.command(home, "build", ",".join(RUNS[task][1]))
        assert built.returncode == 0, built.stderr
    done, report = _of(home, task, engine)
    assert done.returncode == 0, done.stdout + done.stderr
    _, algorithms, primary, controls = RUNS[task]
    scores = pd.read_csv(report / "scores.csv", keep_default_na=False, na_values=[""])
    assert set(scores["algorithm"]) == {*algorithms, *controls}
    assert set(primary) <= set(scores["metric"])
    platform = json.loads((report / "metrics.json").read_text())
    assert platform.get("best", algorithms[0]) == algorithms[0]
    assert set(primary) <= set(platform["aggregates"])
    for text in (_text(report), _markdown(report)):
        for control in controls:
            assert control in text
        for word in FOREIGN[task]:
            assert word not in text, word
        for name in primary:
            assert name in text
    again, _ = _of(home, task, engine)
    assert f"{3 * len(algorithms)} results are there already" in again.stdout
    return scores


@pytest.mark.slow
@pytest.mark.parametrize("task", PLAIN)
def test_every_task_is_run_scored_ranked_and_reported(home, task):
    _check(home, task, "process")


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("task", CONTAINED)
def test_every_task_runs_in_containers_with_the_same_scores(home, task, base):
    found = _check(home, task, "docker")
    plain = _check(home, task, "process")
    columns = ["case", "algorithm", "metric", "value"]
    pd.testing.assert_frame_equal(found[columns], plain[columns])


def test_the_toys_cover_every_task():
    assert {*RUNS, "sample"} == set(TASKS)  # a sample has no truth, and no place


@pytest.mark.slow
def test_a_failed_case_is_a_row_and_ranks_last(home):
    algorithms = "toy_smooth,toy_wreck,toy_fails"
    done = _run(home, "toy_pairs", "--algorithm", algorithms, "--run", "failing")
    assert done.returncode == 1
    assert "failed: toy_fails on toy_pairs_02: non-zero exit" in done.stdout
    rows = (line.split() for line in done.stdout.splitlines())
    ranks = {row[1]: row[0] for row in rows if row and row[0].isdigit()}
    assert ranks["toy_smooth"] == "1"
    assert float(ranks["toy_fails"]) > 1
    text = _text(home / "runs" / "failing" / "report")
    assert "the second image is not to my taste" in text
    unpaired = ("--reference", "real", "--algorithm", "toy_fails,toy_wreck", "--run", "open")
    assert _run(home, "toy_cells", *unpaired).returncode == 1
    found = json.loads((home / "runs" / "open" / "report" / "metrics.json").read_text())
    assert found["best"] == "toy_wreck"


@pytest.mark.slow
def test_the_output_of_a_chain_is_the_input_of_the_next(home):
    recipe = home / "datasets" / "toy_cells" / "recipes"
    recipe.mkdir(exist_ok=True)
    (recipe / "smooth.toml").write_text(
        'dataset = "toy_cells"\ntitle = "Smooth cells"\ncases = 3\nthrough = ["toy_smooth"]\n'
        "[parameters]\nnoise = 20.0\n"
    )
    words = ("--algorithm", "watershed,toy_threshold", "--run", "chain")
    done = _run(home, "toy_cells/smooth", *words, size=None)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "through toy_smooth: 3 of 3" in done.stdout
    (made,) = (home / "runs" / "datasets").glob("toy_cells-toy_smooth-*")
    facts = json.loads((made / "cases" / "toy_cells_01" / "case.json").read_text())
    assert [link["algorithm"] for link in facts["through"]] == ["toy_smooth"]
    assert facts["through"][0]["model"] == "plain"
    again = _run(home, "toy_cells/smooth", *words, size=None)
    assert "through toy_smooth" not in again.stdout
    longer = _run(home, "toy_cells", "--through", "toy_smooth,watershed", *words[:2], "--run", "c2")
    assert longer.returncode == 0, longer.stdout + longer.stderr
    sketch = home / "runs" / "datasets"
    assert list(
        sketch.glob("toy_cells-toy_smooth-watershed-*/cases/*/sockets/images/structure-sketch")
    )


@pytest.mark.slow
def test_an_algorithm_without_its_inputs_is_refused_with_one_line(home):
    done = _run(home, "toy_cells", "--algorithm", "toy_mean")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "toy_cells offers acquisition-metadata, instance-labels, microscopy-image" in done.stderr
    mixed = _run(home, "toy_cells", "--algorithm", "toy_smooth,watershed")
    assert "algorithms of one task are compared, found" in mixed.stderr


@pytest.mark.slow
def test_apply_takes_any_task(home):
    words = ("--out", "smooth", "--algorithm", "toy_smooth", "--engine", "process")
    done = house.command(home, "apply", "real/images", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.name for path in (home / "smooth").iterdir()}
    assert {"toy_bare_01.tif", "toy_bare_01.json", "toy_bare_01.png"} <= names


@pytest.mark.slow
def test_a_new_task_is_one_entry_and_its_board(tmp_path):
    home = house.build(
        tmp_path / "h", algorithms=["toy_tally"], datasets=["toy_counts"], tally=True
    )
    done = _run(home, "toy_counts")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (home / "runs").glob("toy_counts-*")
    output = json.loads(
        (run / "toy_tally" / "toy_counts_01" / "output" / "cell-summary.json").read_text()
    )
    assert output["model"] == "plain"
    assert output["total"] > 0
    assert "toy_tally finished 3 of 3 cases" in _markdown(run / "report")
