"""The page of many submissions: the first of them, and all in a table to search."""

import re
from dataclasses import replace

import pytest

from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.report.sections import everyone
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.rule import RankingRules
from cytosuite.ranking.scores import measures

MIB = 2**20


@pytest.fixture
def many(make, rng):
    """Return a run of submissions whose names are their places, but for the first and second."""

    def made(count, cases=5):
        names = [f"team{n:04}" for n in range(count)]
        run = make([f"c{n:03}" for n in range(cases)], names, failed=[(names[-1], "c001")])
        level = {name: 0.9 - 0.8 * n / count for n, name in enumerate(names)} | {"oracle": 1.0}
        scores = run.scores
        values = scores["algorithm"].map(level).fillna(0.0) + rng.normal(0, 0.02, len(scores))
        scores = scores.assign(value=values.clip(0, 1).where(scores["status"] == "ok", 0.0))
        ranking = rank_measures(
            scores, measures(run.metrics), run.primary, CONTROLS, RankingRules(draws=100)
        )
        ranks = ranking.overall.ranks["mean"]
        entries = [entry._replace(rank=ranks.get(entry.algorithm)) for entry in run.standings]
        entries.sort(key=lambda entry: (entry.control, entry.rank or 0))
        return replace(run, scores=scores, ranking=ranking, standings=entries)

    return made


def test_a_few_stand_in_the_sections_all_in_the_tables(many, tmp_path):
    run = many(60)
    page = write_report(run, tmp_path / "report").read_text()
    sections = re.sub(r'<section id="weigh">.*?</section>', "", page, flags=re.S)  # has all
    assert {*re.findall(r"team\d+", sections)} == {entry.algorithm for entry in run.ranked[:20]}
    assert "first 20 of 60 algorithms" in page
    assert "<dt>Algorithms</dt><dd>60</dd>" in page
    assert "<dt>Failures</dt><dd>1</dd>" in page
    assert run.ranking.family in page
    assert "of 1770 pairs" not in page  # no matrix of what was not tested
    for name in ("leaderboard.csv", "metrics.json", "scores.csv"):
        assert "team0059" in (tmp_path / "report" / name).read_text()
    few = replace(run, standings=run.standings[:50])
    assert few.first is few
    assert everyone.view(few) is None


@pytest.mark.slow
def test_the_reader_finds_any_of_a_thousand(many, tmp_path, window):
    page = write_report(many(1000), tmp_path / "report")
    assert page.stat().st_size < 3 * MIB
    window.open(page)
    window.wait("document.getElementById('everyone').dataset.ready === ''")
    part = "document.querySelector('#everyone [data-part={}]')".format
    names = f"Array.from({part('shown')}.rows, (row) => row.cells[0].textContent)"
    assert len(window.run(names)) == 20
    window.run(f"{part('more')}.click()")
    assert len(window.run(names)) == 120
    assert window.run(f"{part('said')}.textContent") == "120 of 1000"
    window.run(
        f"{part('words')}.value = ' TEAM099'; {part('words')}.dispatchEvent(new Event('input'))"
    )
    assert sorted(window.run(names)) == [f"team{n:04}" for n in range(990, 1000)]
    assert window.run(f"{part('more')}.hidden") is True
    assert window.complaints == []
