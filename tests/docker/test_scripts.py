"""The shell scripts: their messages when a program is missing, and their work with a daemon."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
SCRIPTS = ["bootstrap_base.sh", "start_daemon.sh", "start_slurm.sh"]


def _run(script, *arguments, **variables):
    return subprocess.run(
        ["/bin/bash", str(DOCKER / script), *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_is_a_program_with_valid_syntax(script):
    assert os.access(DOCKER / script, os.X_OK)
    assert subprocess.run(["/bin/bash", "-n", str(DOCKER / script)], check=False).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_arguments_says_how_to_use_it(script):
    done = _run(script)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{script}: usage: docker/{script} ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("script", "program"),
    [(SCRIPTS[0], "mmdebstrap"), (SCRIPTS[1], "dockerd"), (SCRIPTS[2], "slurmctld")],
)
@pytest.mark.skipif(os.getuid() != 0, reason="says first that it needs root")
def test_names_the_package_of_a_missing_program(script, program, tmp_path):
    (tmp_path / "id").symlink_to("/usr/bin/id")
    done = _run(script, tmp_path / "d", PATH=str(tmp_path))
    assert done.returncode == 1
    assert f"{program} is missing; on Debian: apt-get install" in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="runs as root")
@pytest.mark.parametrize("script", SCRIPTS[1:])
def test_a_daemon_needs_root(script, tmp_path):
    assert "needs root" in _run(script, tmp_path).stderr


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="Slurm is started by root")
def test_a_slurm_starts_runs_a_job_is_found_again_and_stops(tmp_path):
    if not shutil.which("slurmctld"):
        pytest.skip("slurm-wlm is not installed")
    first = _run("start_slurm.sh", tmp_path / "s")
    try:
        assert first.stdout == f"export SLURM_CONF={tmp_path}/s/slurm.conf\n", first.stderr
        own = {**os.environ, "SLURM_CONF": f"{tmp_path}/s/slurm.conf"}
        words = ["srun", "--time=1", "printenv", "SLURM_CLUSTER_NAME"]
        done = subprocess.run(
            words, env=own, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout.strip() == "cytosuite", done.stderr
        again = _run("start_slurm.sh", tmp_path / "s")
        assert (again.stdout, "Slurm runs" in again.stderr) == (first.stdout, False)
    finally:
        assert _run("start_slurm.sh", "--stop", tmp_path / "s").returncode == 0
    for name in ("slurmctld", "slurmd-one", "slurmd-two", "munged"):
        number = tmp_path / "s" / f"{name}.pid"
        assert not number.exists() or not Path("/proc", number.read_text().strip()).exists()


@pytest.mark.cluster
@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("slurmctld"), reason="no Slurm, or no root"
)
def test_a_folder_too_long_for_slurm_is_refused(tmp_path):
    done = _run("start_slurm.sh", tmp_path / ("long" * 20))
    assert done.returncode == 1
    assert "DIR must have at most 80 characters, found" in done.stderr


@pytest.mark.docker
@pytest.mark.skipif(os.getuid() != 0, reason="a daemon needs root")
def test_a_folder_too_long_for_a_socket_is_refused(tmp_path):
    done = _run("start_daemon.sh", tmp_path / ("long" * 20))
    assert done.returncode == 1
    assert "DIR must have at most 70 characters, found" in done.stderr


@pytest.mark.docker
@pytest.mark.skipif(os.getuid() != 0, reason="a daemon needs root")
def test_a_daemon_that_answers_is_left_alone():
    host = os.environ.get("DOCKER_HOST", "")
    if not host.startswith("unix://") or not host.endswith("/docker.sock"):
        pytest.skip("the daemon was not started by docker/start_daemon.sh")
    folder = Path(host.removeprefix("unix://")).parent
    pid = (folder / "docker.pid").read_text()
    done = _run("start_daemon.sh", folder)
    assert done.stdout == f"export DOCKER_HOST=unix://{folder}/docker.sock\n"
    assert (folder / "docker.pid").read_text() == pid
