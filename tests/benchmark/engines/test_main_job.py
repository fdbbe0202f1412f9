"""The main job in real containers, as users run it."""

import os

import pytest
from house import ROOT, command

from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.files import read_json

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture
def benchmark(tmp_path, client, base):
    """Return a function that runs the command on the mini spheroids, in a current image."""
    Builder(client, ROOT).build("watershed")

    def benchmark(*words):
        main = "benchmark spheroid --size mini --algorithm watershed --runs"
        done = command(ROOT, *main.split(), tmp_path, *words)
        return done.returncode, done.stdout, done.stderr

    return benchmark


def _outputs(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.glob("*/output/**/*.tif"))
    }


def test_containers_and_processes_give_the_same_bits_and_files_of_this_user(tmp_path, benchmark):
    two = ("--cases", "2")
    code, output, errors = benchmark("--run", "inside", *two)
    assert code == 0, errors
    assert output.startswith("engine: docker (a Docker daemon answers)")
    code, _, errors = benchmark("--engine", "process", "--run", "outside", *two)
    assert code == 0, errors
    assert benchmark("--engine", "docker", "--run", "each", "--api", "exec", *two)[0] == 0
    inside = _outputs(tmp_path / "inside/watershed")
    outside = _outputs(tmp_path / "outside/watershed")
    assert len(inside) == 2
    assert inside == outside == _outputs(tmp_path / "each/watershed")
    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {os.getuid()}
    scores = [(tmp_path / run / "report/metrics.json").read_text() for run in ("inside", "outside")]
    assert scores[0] == scores[1]


@pytest.mark.long
def test_a_network_runs_in_its_container_and_reads_its_compiled_kernels(
    tmp_path, benchmark, client, base
):
    tag = Builder(client, ROOT).build("cellpose3d")
    code = "from cytosuite.algorithms.cellpose3d import _kernels; print(_kernels.land.stats.cache_hits)"
    hits = client.containers.run(
        tag, ["-c", code], entrypoint="python3", read_only=True, tmpfs={"/tmp": ""}, remove=True
    )
    assert hits.count(b": 1") == 1  # its one signature is not compiled again
    code, _, errors = benchmark(
        "--engine", "docker", "--algorithm", "cellpose3d", "--cases", "2", "--run", "net"
    )
    assert code == 0, errors
    records = [read_json(p) for p in sorted((tmp_path / "net").glob("*/*/record.json"))]
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert {record["model"] for record in records} == {"spheroid-nuclei-3d"}
    assert read_json(tmp_path / "net/report/metrics.json")["aggregates"]["SEG"]["mean"] > 0.6
