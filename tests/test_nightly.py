"""The nightly job: its form, and its commands, run as they are with the process engine."""

import os
import re
import shutil

import house
import pytest
from house import ROOT

from cytosuite.files import write_text

yaml = pytest.importorskip("yaml")
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
NIGHTLY = ROOT / ".github/workflows/nightly-gpu.yml"
DOCS = ROOT / ".github/workflows/docs.yml"
MUTANTS = ROOT / ".ci/mutants"
# Stand-ins of cosmic-ray: the tests of one room fail without a change; of another each change has a verdict.
TOOL = """#!/bin/sh
case "$(basename "$0") $1" in
  "cosmic-ray baseline") ! grep -q broken room.toml ;;
  "cr-report --surviving-only") printf '=== DIFF ===\\n-a < b\\n+a <= b\\n============\\ntotal\\n' ;;
  cr-report*) printf 'TestOutcome.KILLED\\nTestOutcome.SURVIVED\\nTestOutcome.KILLED\\nNone\\n' ;;
esac
"""
SMALL = {"DEVICE": "cpu", "ENGINE": "process", "SIZE": "mini"}


def read(path):
    # YAML 1.1 reads the key "on" as true.
    return {
        "on" if key is True else key: value
        for key, value in yaml.safe_load(path.read_text()).items()
    }


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_expressions_refer_to_what_exists(path):
    workflow = read(path)
    for name, job in workflow["jobs"].items():
        ids = {step["id"] for step in job["steps"] if "id" in step}
        contexts = {
            "always()",
            "!cancelled()",
            "github.token",
            *(f"env.{key}" for key in workflow.get("env", {})),
            *(f"matrix.{key}" for key in job.get("strategy", {}).get("matrix", {})),
        }
        for expression in re.findall(r"\$\{\{\s*(.*?)\s*\}\}", yaml.safe_dump(job, width=1000)):
            output = re.fullmatch(r"steps\.(\w+)\.outputs\.\w+", expression)
            assert output[1] in ids if output else expression in contexts, (name, expression)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_expression_stands_in_a_command_and_actions_have_a_version(path):
    """What an expression holds would be read as a part of the shell's program."""
    assert not [step["run"] for step in steps(path) if "${{" in step.get("run", "")]
    for step in steps(path):
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+|[0-9a-f]{40})", step.get("uses", "a/b@v1"))


def test_the_tests_that_take_long_run_every_night():
    (file,) = (path for path in FILES if {"run": "make test-long"} in steps(path))
    assert "schedule" in read(file)["on"]


def test_every_task_is_held_against_accepted_scores_every_night():
    from cytosuite.benchmark.scores.comparison.accepted import accepted
    from cytosuite.contract.tasks import TASKS

    (job,) = (job for path in FILES for name, job in read(path)["jobs"].items() if name == "guard")
    assert job["strategy"]["matrix"]["task"] == list(TASKS)
    script = (ROOT / ".ci/guard").read_text()
    sets = [line.split() for line in script.partition("<<'SETS'\n")[2].splitlines()[: len(TASKS)]]
    assert [task for task, *_ in sets] == list(TASKS)
    held = [(run.said("task"), run.facts["request"], run.algorithms) for run in accepted().values()]
    for task, dataset, size, names in sets:
        request = {"dataset": dataset} | ({} if size == "-" else {"size": size})
        (algorithms,) = (
            who for *key, who in held if key == ["segment" if task == "sample" else task, request]
        )
        assert set(algorithms) == set(names.split(","))
    assert house.ran(ROOT / ".ci/guard", "detct", cwd=ROOT).returncode == 2


@pytest.mark.long
@pytest.mark.slow
def test_a_guarded_task_that_is_as_accepted_passes(tmp_path):
    folder = house.checkout(tmp_path / "checkout")
    done = house.ran(folder / ".ci/guard", "detect", cwd=folder, PYTHONPATH=str(folder))
    assert re.search("no regression|identical: .* bit by bit", house.printed(done))


def test_changes_that_no_test_notices_are_listed_every_night():
    (checkout, *_, last), *others = (
        job["steps"]
        for path in FILES
        if "schedule" in read(path)["on"]
        for job in read(path)["jobs"].values()
        if any(".ci/mutants" in step.get("run", "") for step in job["steps"])
    )
    assert not others
    assert checkout["with"]["fetch-depth"] == 0  # a week has many commits
    assert last["run"] == '.ci/mutants >>"$GITHUB_STEP_SUMMARY"'


def test_rooms_that_a_week_touched_are_changed_and_survivors_shown(tmp_path):
    place = tmp_path / "house"
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cosmic-ray", "cr-filter-operators", "cr-report"):
        (tools / name).write_text(TOOL)
        (tools / name).chmod(0o755)
    (place / ".ci").mkdir(parents=True)
    shutil.copy(MUTANTS, place / ".ci")

    def commit(day, *files):
        for file in files:
            write_text(place / file, day)
        git("add", ".")
        who = {"GIT_COMMITTER_DATE": day} if day[0] == "2" else {}
        git("-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "a", **who)

    def git(*words, **more):
        house.printed(house.ran("git", *words, cwd=place, **more))

    git("init", "-q")
    tested = (f"tests/{name}/test_a.py" for name in ("benchmark/old", "cytosuite/broken"))
    commit("2001-01-01T00:00:00", "benchmark/old/a.py", *tested, "tests/cytosuite/room/test_a.py")
    commit(
        "now",
        "cytosuite/broken/a.py",
        "cytosuite/room/inner/a.py",
        "cytosuite/a.py",
        "cytosuite/untested/a.py",
        "docs/a.py",
    )
    path = f"{tools}:{os.environ['PATH']}"
    shown = house.printed(house.ran(place / ".ci/mutants", cwd=place, PATH=path))
    titles = re.findall("^## (.+)", shown, re.MULTILINE)
    noticed = "2 changes noticed, 1 not"
    broken = "cytosuite/broken: its tests fail without a change"
    assert titles == [broken, f"cytosuite/room/inner: {noticed}"]
    assert shown.count("```diff\n-a < b\n+a <= b\n```") == 1
    alone = house.ran(place / ".ci/mutants", "benchmark/old", cwd=place, PATH=path)
    assert alone.stdout.startswith(f"## benchmark/old: {noticed}\n")


def test_one_job_alone_publishes_and_no_pull_request_starts_it():
    may = {
        path.name: (name, set(read(path)["on"]))
        for path in FILES
        for name, job in read(path)["jobs"].items()
        if "pages" in job.get("permissions", {})
    }
    assert may == {"docs.yml": ("publish", {"push", "workflow_run", "workflow_dispatch"})}
    fetch = next(step["run"] for step in steps(DOCS) if "GH_TOKEN" in step.get("env", {}))
    assert "--event schedule" in fetch
    assert "nightly-report" in [step.get("with", {}).get("name") for step in steps(NIGHTLY)]
    assert "nightly-report" in fetch


def test_the_nightly_dataset_has_accepted_scores_with_enough_cases_for_tests():
    from cytosuite.benchmark.scores.comparison.accepted import accepted

    words = read(NIGHTLY)["env"]
    request = {"dataset": words["DATASET"], "size": words["SIZE"]}
    (run,) = (run for run in accepted().values() if run.facts["request"] == request)
    assert len(run.cases) >= 12


def shell(folder, line, **more):
    more |= {**read(NIGHTLY)["env"], **SMALL, "PYTHONPATH": str(folder)}
    return house.ran("bash", "-e", "-c", line, cwd=folder, **more)


@pytest.mark.long
@pytest.mark.slow
def test_its_commands_run_as_they_are(tmp_path):
    folder = house.checkout(tmp_path / "checkout")
    summary = tmp_path / "summary.md"
    built, *others = [step["run"] for step in steps(NIGHTLY) if "run" in step]
    done = shell(folder, built.replace("make", "make -n", 1))
    assert ".venv/bin/cytosuite build" in done.stdout, done.stderr
    for line in others:
        done = shell(folder, line, GITHUB_STEP_SUMMARY=str(summary))
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    report = folder / "runs/nightly/report"
    assert (report / "index.html").is_file()
    assert "no regression" in (report / "comparison.json").read_text()
    assert summary.read_text().startswith("## ")
    assert summary.read_text() == (report / "comparison.md").read_text()

    scores = report / "scores.csv"  # a regression must stop the job, and stand in its summary
    lines = [_worse(line) for line in scores.read_text().splitlines()]
    scores.write_text("\n".join(lines) + "\n")
    (compare,) = (line for line in others if " compare " in line)
    done = shell(folder, compare)
    assert done.returncode == 1
    assert re.search(r"regression: watershed: SEG 0\.\d+ -> 0\.\d+, worse by 0.2", done.stdout)
    assert "watershed: SEG" in (report / "comparison.md").read_text()


def _worse(line):
    """Return a row with SEG of watershed lowered by 0.2."""
    cells = line.split(",")
    if cells[2] == "watershed" and cells[4] == "SEG":
        cells[5] = repr(float(cells[5]) - 0.2)
    return ",".join(cells)
