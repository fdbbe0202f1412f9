import csv
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from rendered import html, text_of

from cytosuite.benchmark.report import page, write_report
from cytosuite.benchmark.runs.record import ModelChoice
from cytosuite.benchmark.scores.blind import blinded
from cytosuite.benchmark.scores.comparison.scored import read_scored
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.files import write_text
from tests.hostile.tally import digests as contents

FILES = {
    "index.html",
    "report.md",
    "leaderboard.csv",
    "leaderboard.tex",
    "scores.csv",
    "cases.csv",
    "metrics.json",
}
VOID = {"meta", "link", "img", "input", "br"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Collects the elements of a page and insists that they close in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def shown(results):
    return Page(html(results))


def test_is_self_contained(make):
    text = html(make(failed=[("fair", "b")]))
    page = Page(text)
    assert {attributes["src"][:23] for attributes in page.all("img")} == {"data:image/jpeg;base64,"}
    assert not [tag for tag, _ in page.elements if tag in {"link", "iframe", "object", "base"}]
    assert all("src" not in attributes for attributes in page.all("script"))
    links = [attributes["href"] for attributes in page.all("a")]
    outside = [link for link in links if not link.startswith(("#", "https://doi.org/10."))]
    assert set(outside) == FILES - {"index.html"}  # those beside the page
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "url(" not in style
    assert "@import" not in style


def digests(texts):
    return {f"'sha256-{b64encode(sha256(t.encode()).digest()).decode()}'" for t in texts}


@pytest.mark.parametrize("blind", [False, True])
def test_the_policy_forbids_the_network_and_every_other_script_and_style(make, conditions, blind):
    results = replace(make(), conditions=conditions())
    text = html(blinded(results) if blind else results)
    content = next(a["content"] for a in Page(text).all("meta") if "http-equiv" in a)
    policy = {words[0]: set(words[1:]) for words in map(str.split, content.split(";"))}
    assert policy["default-src"] == {"'none'"}
    assert policy["img-src"] == {"data:"}
    assert policy["script-src"] == digests(re.findall(r"<script>(.*?)</script>", text, re.S))
    assert policy["style-src-elem"] == digests(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "'unsafe-inline'" in policy["style-src"]  # of attributes


def test_no_name_is_a_formula_in_a_spreadsheet(make, conditions, tmp_path):
    evil = '=HYPERLINK("http://a")'
    results = make(cases=(evil, "b"), algorithms=(evil, "fair"))
    scores = results.scores.assign(model="@SUM(1)")
    (first, *others) = conditions((evil, "fair"))
    results = replace(results, scores=scores, conditions=[replace(first, name="+1+1"), *others])
    write_report(results, tmp_path / "report")
    for name in ("scores", "cases", "leaderboard", "by_condition"):
        with (tmp_path / f"report/{name}.csv").open(newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert [cell for cell in cells if cell.startswith("'")]
        assert not [cell for cell in cells if cell[:1] in {*"=+@"}]
    table = read_scored(tmp_path / "report").scores
    assert {'=HYPERLINK("http://a")'} <= {*table["algorithm"]} & {*table["case"]}
    assert {*table["model"]} == {"@SUM(1)"}


def test_is_accessible(make, conditions):
    page = shown(replace(make(), conditions=conditions()))
    assert page.all("html")[0]["lang"] == "en"
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert all("scope" in attributes for attributes in page.all("th"))
    drawings = [a for a in page.all("svg") if "fig" in a.get("class", "")]
    assert all(a.get("aria-label") or a.get("aria-hidden") for a in drawings)
    assert len(page.all("h1")) == 1


def test_names_and_logs_cannot_become_code(make):
    results = make(cases=(EVIL, "b"), algorithms=(EVIL, "fair"), failed=[(EVIL, EVIL)])
    info = AlgorithmManifest.model_construct(
        name=EVIL, version=EVIL, title=EVIL, description=EVIL, license=EVIL,
        references=("javascript:alert(1)", EVIL),
    )  # fmt: skip
    metric = replace(
        results.metrics[0], title=EVIL, undefined=EVIL, reference="javascript:alert(1)"
    )
    rivals = [{"model": EVIL, "broken": [EVIL]}, {"model": EVIL, "left_out": EVIL}]
    choice = ModelChoice.of({"cost": 1.0, "terms": {EVIL: 1.0}, "others": rivals})
    told = {"message": EVIL, "model": EVIL, "selection": choice, "warnings": (EVIL,)}
    records = {key: record.model_copy(update=told) for key, record in results.records.items()}
    results = replace(
        results,
        title=EVIL,
        command=EVIL,
        provenance={EVIL: EVIL},
        records=records,
        logs=dict.fromkeys(records, EVIL),
        algorithms=[info],
        metrics=[metric, *results.metrics[1:]],
        notes=[EVIL],
        broken=[EVIL],
    )
    page = shown(results)
    assert [a for a in page.all("script") if a.get("type") != "application/json"] == [{}]
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert not [a for a in page.all("a") if a["href"].startswith("javascript")]
    assert EVIL in "".join(page.text)
    assert not re.search(
        r"(?<!\\)<", re.sub(r"^```sh$.*?^```$", "", text_of(results), flags=re.S | re.M)
    )


def test_writes_its_files_and_nothing_else(make, tmp_path):
    folder = tmp_path / "run/report"
    write_text(folder / "index.html", "old")
    (folder / "note.txt").write_text("mine")
    assert write_report(make(), folder) == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {*FILES, "note.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["report"]
    assert "old" not in (folder / "index.html").read_text()[:10]


def test_a_failed_report_leaves_the_old_one(make, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    write_report(make(), folder)
    before = contents(folder)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(page, "html", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(make(algorithms=("other",)), folder)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["report"]
