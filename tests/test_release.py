"""A release: one version everywhere, a job with few rights, and a page that shows on a package index."""

import re
import shutil
import sys

import house
import pytest
from house import ROOT

from cytosuite import __version__

yaml = pytest.importorskip("yaml")
RELEASE = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
STEPS = {step["name"]: step for step in RELEASE["jobs"]["build"]["steps"] if "name" in step}
CHANGES = (
    "# Changes\n\n## [Unreleased]\n\n- c\n\n## [1.2.3] - 2030-01-01\n\n- b\n\n## [1.2.2]\n\n- a\n"
)


def test_only_the_job_that_publishes_has_an_identity_and_it_runs_nothing_of_ours():
    assert RELEASE["permissions"] == {"contents": "read"}
    jobs = RELEASE["jobs"]
    assert {name: job.get("permissions") for name, job in jobs.items()} == {
        "build": None,
        "publish": {"id-token": "write"},
        "announce": {"contents": "write"},
    }
    assert jobs["publish"]["environment"] == "pypi"
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]
    assert {jobs["publish"]["needs"], jobs["announce"]["needs"]} == {"build", "publish"}
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads the key "on" as true


@pytest.mark.parametrize("tag, notes", [("v1.2.3", "\n- b\n\n"), ("v1.2.4", None)])
def test_a_tag_needs_its_section_of_the_changelog_and_files_of_its_version(tmp_path, tag, notes):
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    (tmp_path / "dist").mkdir()
    for end in (".tar.gz", "-py3-none-any.whl"):
        (tmp_path / f"dist/cytosuite-1.2.3{end}").touch()
    for name in (
        "Take the changelog's section of this version",
        "Refuse a tag that is not the version",
    ):
        done = house.ran("bash", "-e", "-c", STEPS[name]["run"], cwd=tmp_path, GITHUB_REF_NAME=tag)
        assert (done.returncode == 0) == (notes is not None)
    assert (tmp_path / "notes/notes.md").read_text() == (notes or "")


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert re.fullmatch(r"\d+(\.\d+)+((a|b|rc)\d+)?", __version__), "a tag of it must be one"


def test_links_of_the_page_on_an_index_lead_to_the_repository(tmp_path):
    """Else they lead nowhere; without a known address they stay as they are."""
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "cytosuite").mkdir()
    shutil.copy(ROOT / "cytosuite/__init__.py", tmp_path / "cytosuite")
    page = "![a](docs/a.png) [b](docs/b.md#c) [d](https://e.org) [f](#g) `h[0](i)`\n"
    (tmp_path / "README.md").write_text(page)
    forge = {
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_REPOSITORY": "us/ours",
        "GITHUB_REF_NAME": "v1.2.3",
    }
    program = "import setuptools.build_meta as b; print(b.prepare_metadata_for_build_wheel('.'))"
    for variables in (forge, dict.fromkeys(forge, "")):
        done = house.ran(sys.executable, "-c", program, cwd=tmp_path, **variables)
        text = (tmp_path / house.printed(done).split()[-1] / "METADATA").read_text()
        assert f"Version: {__version__}\n" in text
        home = "https://forge.example/us/ours" if variables is forge else ""
        assert (f"Project-URL: Repository, {home}\n" in text) == bool(home)
        blob, raw = (f"{home}/{kind}/v1.2.3/" if home else "" for kind in ("blob", "raw"))
        links = f"![a]({raw}docs/a.png) [b]({blob}docs/b.md#c) [d](https://e.org) [f](#g)"
        assert links in text
