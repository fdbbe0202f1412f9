import json

import pytest
from archives import Image
from typer.testing import CliRunner

from cytosuite.benchmark.commands.app import app
from cytosuite.errors import InputError


def _run(*arguments):
    """Run the command; errors come out as they are."""
    words = ["preflight", *(str(item) for item in arguments)]
    return CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.fixture
def bad(tmp_path):
    """Return an archive with a finding of every severity."""
    image = Image(tags=("a", "b")).configured(User="root", Env=["LD_LIBRARY_PATH=/x"])
    return image.save(tmp_path / "bad.tar.gz")


def test_a_good_archive_may_be_uploaded(tmp_path):
    path = Image().save(tmp_path / "a.tar.gz")
    found = _run(path)
    assert found.exit_code == 0
    assert found.output.splitlines() == [
        f"{path}: image archive",
        "  nothing found",
        "verdict: may be uploaded: 0 errors, 0 warnings, 0 notes",
    ]


def test_findings_are_listed_the_grave_ones_first(bad):
    found = _run(bad)
    assert found.exit_code == 1
    lines = found.output.splitlines()
    assert [line.split()[0] for line in lines[1:-1:2]] == ["error", "warning", "note"]
    where = "bad.tar.gz: config.User"
    assert lines[1] == f"  error  image.user-root  {where}: it runs as root"
    assert lines[2] == (
        "      do: set USER to a name in /etc/passwd or to numbers, like `USER 1000:1000`"
    )
    assert lines[-1] == "verdict: do not upload: 1 error, 1 warning, 1 note"


def test_several_files_have_one_verdict(tmp_path, bad):
    good = Image().save(tmp_path / "a.tar.gz")
    out = tmp_path / "out.json"
    found = _run(good, bad, tmp_path, "--task", "segment", "--json", out)
    assert found.exit_code == 1
    value = json.loads(out.read_text())
    assert [each["kind"] for each in value["files"]] == ["image", "image", "output"]
    assert value["verdict"] == "refused"
    assert value["error"] == 2
    assert value["files"][1]["findings"][0]["rule"] == "image.user-root"
    assert set(value["files"][1]["findings"][0]) == {"rule", "severity", "where", "text", "fix"}


def test_json_on_stdout_is_nothing_else(bad):
    found = _run(bad, "--json", "-")
    assert json.loads(found.stdout)["verdict"] == "refused"
    assert "verdict: do not upload" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.tar.gz"], "none.tar.gz: no such file"),
        ([".", "--task", "sing"], "task"),
        ([".", "--json", "."], "expected the name of a file to write"),
        (["text.tar"], "expected an image archive, a tarball or an output folder"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.tar").write_text("text" * 999)
    with pytest.raises(InputError, match=message):
        _run(*arguments)
