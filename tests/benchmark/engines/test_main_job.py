"""The main job in real containers, as users run it."""

import json
import os
import signal
import subprocess
import sys
import time

import forks
import pytest

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.images import image_tag

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="session")
def watershed_image(client, base):
    """Return the current image of the watershed algorithm, built if need be."""
    return Builder(client, ROOT).build("watershed")


@pytest.fixture
def benchmark(tmp_path, watershed_image):
    """Return a function that runs the command on the mini spheroids."""

    def benchmark(*words, wait=True):
        command = [
            sys.executable,
            "-m",
            "cytosuite.benchmark",
            "benchmark",
            "spheroid",
            "--size",
            "mini",
        ]
        process = subprocess.Popen(
            [*command, "--runs", str(tmp_path), "--algorithm", "watershed", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if not wait:
            return process
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors

    return benchmark


def _outputs(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.glob("*/output/**/*.tif"))
    }


def test_containers_and_processes_give_the_same_bits(tmp_path, benchmark):
    code, output, errors = benchmark()
    assert code == 0, errors
    assert output.startswith("engine: docker (a Docker daemon answers)")
    code, _, errors = benchmark("--engine", "process")
    assert code == 0, errors
    inside = _outputs(tmp_path / "spheroid-mini-docker" / "watershed")
    outside = _outputs(tmp_path / "spheroid-mini-process" / "watershed")
    assert len(inside) == 6
    assert inside == outside
    scores = [
        (tmp_path / f"spheroid-mini-{engine}" / "report" / "metrics.json").read_text()
        for engine in ("docker", "process")
    ]
    assert scores[0] == scores[1]


def test_a_network_runs_in_its_container_and_reads_its_compiled_kernels(
    tmp_path, benchmark, client, base
):
    tag = Builder(client, ROOT).build("cellpose3d")
    code = "from cytosuite.algorithms.cellpose3d import _kernels; print(_kernels._reached.stats.cache_hits)"
    hits = client.containers.run(
        tag, ["-c", code], entrypoint="python3", read_only=True, tmpfs={"/tmp": ""}, remove=True
    )
    assert hits.count(b": 1") == 1  # its one signature is not compiled again
    words = ("--engine", "docker", "--algorithm", "cellpose3d", "--cases", "2", "--run", "net")
    code, _, errors = benchmark(*words)
    assert code == 0, errors
    records = [
        json.loads(p.read_text()) for p in sorted((tmp_path / "net").glob("*/*/record.json"))
    ]
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert {record["model"] for record in records} == {"spheroid-nuclei-3d"}
    scores = json.loads((tmp_path / "net" / "report" / "metrics.json").read_text())
    assert scores["aggregates"]["SEG"]["mean"] > 0.6


def test_a_container_per_case_gives_the_same_bits_and_nothing_belongs_to_another(
    tmp_path, benchmark
):
    assert benchmark("--engine", "docker", "--run", "a")[0] == 0
    assert benchmark("--engine", "docker", "--run", "b", "--api", "exec")[0] == 0
    outputs = _outputs(tmp_path / "a" / "watershed")
    assert len(outputs) == 6
    assert outputs == _outputs(tmp_path / "b" / "watershed")
    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {os.getuid()}


def test_a_killed_runner_leaves_nothing_that_the_next_does_not_clear(tmp_path, benchmark, client):
    process = benchmark("--engine", "docker", wait=False)
    results = tmp_path / "spheroid-mini-docker" / "watershed"
    deadline = time.monotonic() + 120
    while not list(results.glob("[!.]*/record.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # The record itself gets the digest of the objects with the scores.
    done = [record.parent for record in results.glob("[!.]*/record.json")]
    whole = {path: path.stat().st_mtime_ns for case in done for path in case.rglob("*.tif")}
    assert 1 <= len(whole) < 6
    assert forks.containers(client, tmp_path)
    code, output, errors = benchmark("--engine", "docker")
    assert code == 0, errors
    assert f"{len(whole)} results are there already" in output
    for path, stamp in whole.items():
        assert path.stat().st_mtime_ns == stamp
    assert forks.containers(client, tmp_path) == []
    assert not list(results.glob(".*"))


def test_a_stale_image_is_built_before_it_runs(tmp_path, benchmark, client, watershed_image):
    tag = image_tag("watershed")
    stale = client.containers.create(tag)
    try:
        stale.commit(*tag.split(":"), changes='LABEL org.cytosuite.source-digest="0"')
        code, output, errors = benchmark("--engine", "docker")
        assert code == 0, errors
        assert "it is built again" in output
        assert client.images.get(tag).labels["org.cytosuite.source-digest"] != "0"
    finally:
        stale.remove()
