"""The list of waits: inputs, stages and tables."""

import subprocess
import sys

import stages
import waits

from cytosuite.benchmark.commands.app import COMMANDS
from cytosuite.files import read_json


def test_each_command_and_each_input_of_the_list_is_known(tmp_path):
    commands = {command.name for group in COMMANDS.values() for command in group}
    inputs = waits.Inputs(tmp_path)
    listed = [*waits.waits()]
    assert len({wait.name for wait in listed}) == len(listed)
    for wait in listed:
        assert wait.clone or wait.command.split()[0] in commands
        assert set(waits.NAMES.findall(wait.command)) <= {*inputs.makers, "out", "twenty"}


def test_a_stage_is_the_innermost_function_of_ours_and_the_package_it_calls():
    def called(*files):
        look = lambda: stages.stage(sys._getframe(1), "/home/cytosuite/")  # noqa: E731
        for file in files:
            place = {"inner": look}
            exec(compile("def work(): return inner()", file, "exec"), place)
            look = place["work"]
        return look()

    ours = "/home/cytosuite/metrics/seg.py"
    scipy = "/lib/site-packages/scipy/ndimage.py"
    assert called(scipy, ours, "/home/cytosuite/metrics/run.py") == "metrics/seg.work (scipy work)"
    assert called("/lib/site-packages/numba/core/compiler.py", ours) == "compiling"
    assert called(ours, "<frozen importlib._bootstrap>") == "imports"
    assert called("/lib/json.py") == "start"


def test_the_time_of_a_program_and_of_those_it_starts_counts(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    row = waits.run([sys.executable, "-c", code], None)
    assert row["cpu_s"] >= 0.3
    assert row["error"] == ""
    assert "exit code 3" in waits.run([sys.executable, "-c", "exit(3)"], None)["error"]


def test_samples_are_written_by_a_process_that_imports_them(tmp_path):
    (tmp_path / "sitecustomize.py").write_text((waits.HERE / "stages.py").read_text())
    code = "import time\ndef busy():\n  while time.process_time() < 0.8: pass\nbusy()"
    environment = {stages.FOLDER: str(tmp_path), stages.FOLDER + "_ROOT": "/nowhere"}
    environment["PYTHONPATH"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    (file,) = tmp_path.glob("*.json")
    assert 0.2 < sum(read_json(file).values()) <= 0.9


def test_tables_hold_the_baseline():
    row = {"name": "a", "wall_s": 2.0, "cpu_s": 3.0, "cores": 1.5, "peak_mib": 9.0, "error": ""}
    row["stages"] = {"f": 2.4, "g": 0.03, "not sampled": 0.57}
    text = waits.table([row], {"a": {"cpu_s": 6.0, "wall_s": 7.0}}).splitlines()[-1]
    assert text == "| a | 6.0 | 7.0 | 3.0 | 2.0 | 1.50 | 9 | f 80%, not sampled 19% |"
