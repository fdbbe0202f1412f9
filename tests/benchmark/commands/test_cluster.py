"""Commands on a cluster, whose pool is this process."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cytosuite.benchmark.cluster import cases
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.pool import Here
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.benchmark.commands import data
from cytosuite.benchmark.commands.benchmark import benchmark
from cytosuite.benchmark.commands.cluster import engine_word, opened
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.commands.repeat import command_of
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.record import read_record
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume


@pytest.fixture
def planes(tmp_path):
    """Return a folder of three annotated planes, of 1, 2 and 3 squares."""
    for number, name in enumerate("abc", start=1):
        array = np.zeros((24, 24), np.uint16)
        for square in range(number):
            array[4:9, 7 * square : 7 * square + 5] = square + 1
        plane = Volume(array, (0.5, 0.5), "YX")
        write(tmp_path / "planes" / "images" / f"{name}.tif", plane)
        write(tmp_path / "planes" / "labels" / f"{name}.tif", plane.like(array))
    return tmp_path / "planes"


@pytest.fixture
def run(planes, tmp_path, fakes, monkeypatch):
    """Return a function that runs a benchmark: exit code, words, engine, memory of the workers."""
    limits, memory = [], []

    def behave(image, output):
        if int(image.array.max()) > limits[-1]:
            return Outcome("out of memory", 0.1, None, 137, "too little")
        fakes.write_labels(image, output, image.array)
        return None

    session = fakes.Engine.session

    def noted(self, algorithm, workspace, given, api):
        limits.append(given.memory_gib)
        return session(self, algorithm, workspace, given, api)

    def open_(self):
        memory.append(self.memory_gib)
        return Here()

    monkeypatch.setattr(fakes.Engine, "session", noted)
    monkeypatch.setattr(OpenCluster, "_open", open_)

    def run(**options):
        engine = fakes.Engine(behave)
        monkeypatch.setattr(data, "choose", lambda *_: (engine, "engine: fake"))
        monkeypatch.setattr(cases, "choose", lambda *_: (engine, "engine: fake"))
        memory.clear()
        said = Console(file=StringIO(), width=200)
        own = {"dataset": str(planes), "algorithm": ["watershed"], "run": "x", **options}
        code = benchmark(BenchmarkOptions(runs=tmp_path / "runs", **own), said)
        return code, said.file.getvalue(), engine, list(memory)

    return run


def site(tmp_path, text):
    path = tmp_path / "site.toml"
    path.write_text(text)
    return path


def test_data_runs_and_scores_of_a_cluster_are_those_without(run, tmp_path):
    code, text, engine, memory = run(cluster="slurm", memory=4.0)
    assert code == 0, text
    assert engine.calls == ["a", "b", "c"]
    assert memory == [5.0]  # one opening serves the data, the run and the scores
    by_cluster = pd.read_csv(tmp_path / "runs" / "x" / "report" / "scores.csv")
    assert run(memory=4.0, run="y")[3] == []
    here = pd.read_csv(tmp_path / "runs" / "y" / "report" / "scores.csv")
    pd.testing.assert_frame_equal(by_cluster, here)


def test_cases_out_of_memory_run_again_in_larger_workers(run, tmp_path):
    path = site(tmp_path, "most_memory_gib = 4\n")
    code, text, engine, memory = run(cluster="slurm", site=path, memory=1.0)
    assert code == 0, text
    assert engine.calls == ["a", "b", "c", "b", "c", "c"]
    assert memory == [2.0, 3.0, 5.0]
    assert "running again with 2 GiB: 2 of 2" in text
    assert "running again with 4 GiB: 1 of 1" in text
    folder = tmp_path / "runs" / "x" / "watershed"
    assert read_record(folder / "a").warnings == ()
    assert read_record(folder / "c").warnings == ("memory raised: 4 GiB, as 1 GiB did not suffice",)
    assert run(cluster="slurm", site=path, memory=1.0)[2].calls == []


def test_without_a_top_a_case_out_of_memory_is_a_failed_one(run):
    code, text, engine, _ = run(cluster="slurm", memory=2.0)
    assert code == 1
    assert "failed: watershed on c: out of memory: too little" in text
    assert engine.calls == ["a", "b", "c"]


def test_an_interrupted_run_goes_on_with_more_memory(run, tmp_path):
    run(cluster="slurm", memory=2.0)
    path = site(tmp_path, "most_memory_gib = 4\n")
    code, text, engine, _ = run(cluster="slurm", site=path, memory=2.0)
    assert code == 0, text
    assert engine.calls == ["c"]


def test_a_site_without_a_cluster_is_refused(tmp_path):
    options = BenchmarkOptions(dataset="x", site=site(tmp_path, ""))
    with (
        pytest.raises(InputError, match=r"SITE=.+site.toml is for CLUSTER=local, slurm or tcp://"),
        opened(options, tmp_path, Console(file=StringIO())),
    ):
        pass


def test_without_a_cluster_nothing_is_opened(tmp_path):
    with opened(BenchmarkOptions(dataset="x"), tmp_path, Console(file=StringIO())) as found:
        assert found is None


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [("auto", "podman", "podman"), ("docker", "podman", "docker"), ("auto", None, "auto")],
)
def test_the_site_names_the_engine_where_the_user_does_not(given, own, expected, tmp_path):
    cluster = OpenCluster("slurm", ClusterSite(engine=own), tmp_path, print)
    assert engine_word(BenchmarkOptions(dataset="x", engine=given), cluster) == expected
    assert engine_word(BenchmarkOptions(dataset="x", engine=given), None) == given


def test_the_command_that_repeats_a_run_names_no_cluster(tmp_path):
    options = BenchmarkOptions(dataset="x", cluster="slurm", site=tmp_path / "s.toml", size="mini")
    assert "cluster" not in command_of(options, "docker").lower()
    assert "site" not in command_of(options, "docker").lower()
