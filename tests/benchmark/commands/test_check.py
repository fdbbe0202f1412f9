"""The command that holds an algorithm against its contract, run as a user runs it."""

import re

import house
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a checkout with the watershed and a toy that has no README."""
    return house.build(
        tmp_path_factory.mktemp("house") / "house", algorithms=["toy_threshold", "toy_fails"]
    )


def test_a_good_algorithm_passes_line_by_line(place):
    done = house.command(place, "check", "watershed")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert all(line.startswith("  pass  ") for line in lines[:-1])
    assert lines[-1] == f"watershed: {len(lines) - 1} passed, 0 failed"
    assert len(lines) == 15


def test_each_failure_is_a_line_and_the_exit_code_1(place):
    done = house.command(place, "check", "toy_threshold")
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("  FAIL  ")]
    assert any("algorithms/toy_threshold/README.md is missing" in line for line in failed)
    assert re.search(r"^toy_threshold: \d+ passed, \d failed$", done.stdout, re.MULTILINE)


def test_a_crash_is_named_by_its_last_line(place):
    done = house.command(place, "check", "toy_fails")  # wants a number in the metadata
    assert done.returncode == 1
    assert "3D: outputs: non-zero exit: KeyError: 'number'" in done.stdout


def test_an_algorithm_that_cannot_start_says_why(place):
    path = place / "algorithms" / "toy_fails" / "predict.py"
    text = path.read_text()
    path.write_text("import nowhere\n" + text)
    done = house.command(place, "check", "toy_fails")
    path.write_text(text)
    assert done.returncode == 1
    assert "FAIL  packages: installed here: toy_fails needs nowhere, not installed" in done.stdout


def test_a_wrong_manifest_is_the_first_failure(place):
    path = place / "algorithms" / "toy_fails" / "algorithm.toml"
    text = path.read_text()
    path.write_text(text.replace("title =", "titel ="))
    done = house.command(place, "check", "toy_fails")
    path.write_text(text)
    assert done.returncode == 1
    assert "FAIL  manifest: algorithm.toml" in done.stdout
    assert "did you mean 'title'?" in done.stdout


def test_a_name_that_is_not_there_is_one_line(place):
    done = house.command(place, "check", "watershd")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no algorithm called 'watershd'; did you mean 'watershed'?" in done.stderr
