"""The shell scripts: their messages when a program is missing, and their work with a daemon."""

import os
import shutil
from pathlib import Path

import house
import pytest
from house import ROOT

DOCKER = ROOT / "docker"
SCRIPTS = ["bootstrap_base.sh", "start_daemon.sh", "start_slurm.sh"]


def _run(script, *arguments, **variables):
    return house.ran("/bin/bash", DOCKER / script, *arguments, **variables)


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_arguments_says_how_to_use_it(script):
    assert os.access(DOCKER / script, os.X_OK)
    done = _run(script)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{script}: usage: docker/{script} ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    "program, script",
    {"mmdebstrap": SCRIPTS[0], "dockerd": SCRIPTS[1], "slurmctld": SCRIPTS[2]}.items(),
)
@pytest.mark.skipif(os.getuid() != 0, reason="says first that it needs root")
def test_names_the_package_of_a_missing_program(script, program, tmp_path):
    (tmp_path / "id").symlink_to("/usr/bin/id")
    done = _run(script, tmp_path / "d", PATH=str(tmp_path))
    assert done.returncode == 1
    assert f"{program} is missing; on Debian: apt-get install" in done.stderr


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="Slurm is started by root")
def test_a_slurm_starts_runs_a_job_is_found_again_and_stops(tmp_path):
    if not shutil.which("slurmctld"):
        pytest.skip("slurm-wlm is not installed")
    first = _run("start_slurm.sh", tmp_path / "s")
    try:
        assert first.stdout == f"export SLURM_CONF={tmp_path}/s/slurm.conf\n", first.stderr
        done = house.ran(
            "srun",
            "--time=1",
            "printenv",
            "SLURM_CLUSTER_NAME",
            SLURM_CONF=f"{tmp_path}/s/slurm.conf",
        )
        assert done.stdout.strip() == "cytosuite", done.stderr
        again = _run("start_slurm.sh", tmp_path / "s")
        assert (again.stdout, "Slurm runs" in again.stderr) == (first.stdout, False)
    finally:
        assert _run("start_slurm.sh", "--stop", tmp_path / "s").returncode == 0
    for name in ("slurmctld", "slurmd-one", "slurmd-two", "munged"):
        number = tmp_path / f"s/{name}.pid"
        assert not number.exists() or not Path("/proc", number.read_text().strip()).exists()
