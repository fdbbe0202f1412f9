import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from benchmark.report import AlgorithmInfo, Failure, MetricInfo, html, markdown, write_report

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

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(content):
    return Page(html.render(content))


def test_is_self_contained(make):
    text = html.render(make(failed=[("fair", "b")]))
    shown = Page(text)
    assert {attributes["src"][:22] for attributes in shown.all("img")} == {"data:image/png;base64,"}
    assert not [tag for tag, _ in shown.elements if tag in {"link", "iframe", "object", "base"}]
    assert all("src" not in attributes for attributes in shown.all("script"))
    links = [attributes["href"] for attributes in shown.all("a")]
    assert all(link.startswith(("#", "https://doi.org/10.")) for link in links)
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "url(" not in style
    assert "@import" not in style


def test_forbids_the_network(make):
    policy = next(a["content"] for a in page(make()).all("meta") if "http-equiv" in a)
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )


def test_every_link_inside_the_page_has_its_target(make, conditions):
    shown = page(replace(make(failed=[("fair", "b")]), conditions=conditions()))
    identifiers = [a["id"] for _, a in shown.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    inside = {a["href"][1:] for a in shown.all("a") if a["href"].startswith("#")}
    assert inside <= set(identifiers)


def test_is_accessible(make, conditions):
    shown = page(replace(make(), conditions=conditions()))
    assert shown.all("html")[0]["lang"] == "en"
    assert all(attributes.get("alt") for attributes in shown.all("img"))
    assert all("scope" in attributes for attributes in shown.all("th"))
    drawings = [a for a in shown.all("svg") if "fig" in a.get("class", "")]
    assert all(a.get("aria-label") or a.get("aria-hidden") for a in drawings)
    assert len(shown.all("h1")) == 1


def test_names_and_logs_cannot_become_code(make):
    content = make(cases=(EVIL, "b"), algorithms=(EVIL, "fair"))
    failure = Failure(EVIL, EVIL, EVIL, EVIL, EVIL)
    info = AlgorithmInfo(EVIL, EVIL, EVIL, EVIL, EVIL, ["javascript:alert(1)", EVIL])
    metric = MetricInfo("SEG", EVIL, EVIL, 1.0, 0.0, "javascript:alert(1)", True)
    content = replace(
        content,
        title=EVIL,
        command=EVIL,
        provenance={EVIL: EVIL},
        failures=[failure],
        algorithms=[info],
        metrics=[metric, *content.metrics[1:]],
        notes=[EVIL],
    )
    shown = page(content)
    assert len(shown.all("script")) == 1
    assert not [a for _, a in shown.elements if any(name.startswith("on") for name in a)]
    assert not [a for a in shown.all("a") if a["href"].startswith("javascript")]
    assert EVIL in "".join(shown.text)
    prose = re.sub(r"^```sh$.*?^```$", "", markdown.render(content), flags=re.S | re.M)
    assert not re.search(r"(?<!\\)<", prose)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"cases": ("only",), "algorithms": ("good",)},
        {"cases": ("x" * 300, "y" * 300)},
        {"algorithms": tuple(f"algorithm{n}" for n in range(20)), "cases": ("a", "b")},
        {"failed": [(name, case) for name in ("good", "fair") for case in "abc"]},
        {"shape": (24, 24)},
    ],
    ids=["plain", "one", "long names", "many", "all failed", "flat"],
)
def test_renders(make, arguments):
    content = make(**arguments)
    assert "Leaderboard" in "".join(page(content).text)
    assert "## Leaderboard" in markdown.render(content)


def test_renders_without_measures(make):
    content = make()
    standings = [replace(entry, summaries={}, rank=None) for entry in content.standings]
    pictures = [replace(picture, truth=None) for picture in content.pictures]
    bare = replace(
        content, metrics=[], standings=standings, scores=content.scores[:0], pictures=pictures
    )
    text = "".join(page(bare).text)
    assert "A note." in text
    assert "What the measures mean" not in text


def test_renders_an_empty_run(empty, tmp_path):
    assert "Nothing has run yet." in write_report(empty, tmp_path / "report").read_text()


def test_a_broken_ruler_is_announced(make):
    content = make()
    wrong = [
        replace(entry, summaries={"SEG": replace(entry.summaries["SEG"], mean=0.97)})
        if entry.control
        else entry
        for entry in content.standings
    ]
    text = "".join(page(replace(content, standings=wrong)).text)
    assert "The truth itself scores 0.9700 in SEG instead of 1" in text
    assert "Ruler broken" not in "".join(page(content).text)


def test_says_which_cases_have_no_picture(make, nowhere):
    content = make(cases=tuple(f"case{n:02d}" for n in range(30)))
    lost = replace(content.pictures[29], image=nowhere)
    text = "".join(page(replace(content, pictures=[*content.pictures[:29], lost])).text)
    assert "6 cases without pictures" in text
    assert "No picture of case29" in text


def test_a_hundred_cases_stay_small(make, tmp_path):
    names = tuple(f"case{n:03d}" for n in range(100))
    index = write_report(make(cases=names), tmp_path / "report")
    assert index.stat().st_size < 3_000_000


def test_writes_four_files_and_nothing_else(make, tmp_path):
    folder = tmp_path / "run" / "report"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("old")
    (folder / "note.txt").write_text("mine")
    assert write_report(make(), folder) == folder / "index.html"
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.html", "report.md", "scores.csv", "metrics.json", "note.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["report"]
    assert "old" not in (folder / "index.html").read_text()[:10]


def test_the_files_say_the_same(make, tmp_path):
    content = make()
    write_report(content, tmp_path / "report")
    with (tmp_path / "report" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(content.scores)
    layout = json.loads((tmp_path / "report" / "metrics.json").read_text())
    from_table = {
        row["case"]: float(row["value"])
        for row in rows
        if row["algorithm"] == "good" and row["metric"] == "SEG"
    }
    assert {case: scores["SEG"] for case, scores in layout["case"].items()} == from_table


def test_a_failed_report_leaves_the_old_one(make, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    write_report(make(), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(html, "render", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(make(algorithms=("other",)), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["report"]


def test_markdown_has_a_table_with_every_algorithm(make):
    lines = markdown.render(make(failed=[("fair", "b")])).splitlines()
    board = [line for line in lines if line.startswith("|")]
    assert board[0].startswith("| rank | algorithm | SEG (95 % interval; pooled)")
    assert any(line.startswith("| 1 | good | 0.81") for line in board)
    assert any("oracle (control)" in line for line in board)
    assert "| fair | b | time-out | too slow |" in board


def test_markdown_keeps_bars_and_line_breaks_in_their_cell():
    (_, _, line) = markdown.table(["a"], [["x|y\nz"]])
    assert line == r"| x\|y z |"
