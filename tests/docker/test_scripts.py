"""The shell scripts: their messages when a program is missing, and their work with a daemon."""

import os
import subprocess
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
SCRIPTS = ["bootstrap_base.sh", "start_daemon.sh"]


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
    ("script", "program"), [(SCRIPTS[0], "mmdebstrap"), (SCRIPTS[1], "dockerd")]
)
@pytest.mark.skipif(os.getuid() != 0, reason="says first that it needs root")
def test_names_the_package_of_a_missing_program(script, program, tmp_path):
    (tmp_path / "id").symlink_to("/usr/bin/id")
    done = _run(script, tmp_path / "d", PATH=str(tmp_path))
    assert done.returncode == 1
    assert f"{program} is missing; on Debian: apt-get install" in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="runs as root")
def test_a_daemon_needs_root(tmp_path):
    assert "needs root" in _run("start_daemon.sh", tmp_path).stderr


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
