"""The documentation site: links, names and navigation that hold, and a search that finds."""

import json
import re
import sys

import house
import pytest
from house import ROOT

pytest.importorskip("mkdocs")
pytest.importorskip("material")
pytest.importorskip("mkdocstrings")
pytestmark = pytest.mark.slow

FORGE = "https://forge.example/us/cytosuite"


def build(home, out, **environment):
    """Build the site of a checkout without pictures, and return the finished process."""
    return house.ran(
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "-f",
        home / "docs/site/mkdocs.yml",
        "-d",
        out,
        cwd=home,
        **{"PICTURES": "0", "NO_MKDOCS_2_WARNING": "1", "REPOSITORY": FORGE, **environment},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def places(site, *words):
    """Return the places of the sections with all words, and of those in whose title they are."""
    docs = json.loads((site / "search/search_index.json").read_text())["docs"]
    with_words = [doc for doc in docs if all(w in doc["title"] + doc["text"] for w in words)]
    titled = [doc["location"] for doc in with_words if all(w in doc["title"] for w in words)]
    return [doc["location"] for doc in with_words], titled


def test_the_search_finds_metrics_options_and_tasks(site):
    anywhere, titled = places(site, "SEG")
    assert "reference/metrics.html#labels-seg" in titled
    anywhere, _ = places(site, "--spacing")
    assert "reference/commands.html#cytosuite-segment" in anywhere
    _, titled = places(site, "Hand in")
    assert "docs/hand-in.html" in titled


def test_every_command_and_metric_and_rule_has_its_line(site):
    from cytosuite.benchmark.commands.app import COMMANDS
    from cytosuite.benchmark.submission.checks.rules import RULES
    from cytosuite.metrics.metric import FAMILIES, metrics_of

    commands = (site / "reference/commands.html").read_text()
    for command in (entry for group in COMMANDS.values() for entry in group):
        assert f'id="cytosuite-{command.name}"' in commands
    metrics = (site / "reference/metrics.html").read_text()
    for metric in (entry for family in FAMILIES for entry in metrics_of(family)):
        assert f'id="{metric.family}-{metric.function.__name__}"' in metrics
    rules = (site / "reference/rules.html").read_text()
    assert all(f"<code>{name}</code>" in rules for name in RULES)


def test_every_name_of_the_parts_for_monai_is_documented(site):
    page = (site / "reference/python.html").read_text()
    exported = (ROOT / "cytosuite/monai/__init__.py").read_text()
    for module, name in re.findall(r"from (\S+) import (\w+) as", exported):
        assert f'id="{module}.{name}"' in page


def test_no_page_asks_another_server(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(http[^"]+)', page.read_text()
        )
        assert not loaded, page


def test_links_to_sources_lead_to_the_repository_or_nowhere(site, tmp_path):
    assert f'href="{FORGE}/blob/main/LICENSE"' in (site / "index.html").read_text()
    assert 'href="docs/install.html"' in (site / "index.html").read_text()


def test_a_page_without_an_entry_is_under_more_and_a_broken_link_ends_the_build(tmp_path):
    home = house.checkout(tmp_path / "checkout")
    (home / "docs/site/references.py").write_text("PAGES = {}")  # most of the time of a build
    links = ("segment.md#no-such-part", "no-such-page.md")
    lines = "".join(f"[broken]({link})\n" for link in links)
    (home / "docs/new.md").write_text(f"# A new page\n\n[segment](segment.md#formats)\n{lines}")
    done = build(home, tmp_path / "site", REPOSITORY="")
    assert done.returncode == 1
    for link in links:
        assert re.search(rf"docs/new\.md.*{link.partition('#')[2] or link}", done.stderr)
    assert done.stderr.count("docs/new.md") == len(links)
    start = (tmp_path / "site/index.html").read_text()
    assert re.search(r"More\s*<.*docs/new\.html", start, re.DOTALL)
    assert "LICENSE" not in start


def test_the_search_works_in_a_folder_that_is_opened_as_it_is(site, window):
    window.open(site / "docs/segment.html")
    window.key("s")  # opens the search
    for letter in "hand in":
        window.key(letter)
    window.wait("document.querySelector('.md-search-result__link')")
    assert "docs/hand-in.html" in window.run(
        "document.querySelector('.md-search-result__link').href"
    )
    assert window.complaints == []
    assert not [url for url in window.requests if url.startswith("http")]
