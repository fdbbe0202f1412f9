"""Workers with GPUs: how many there are on this machine, and what their jobs ask for."""

import io
import os

import pytest
from rich.console import Console

from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.benchmark.commands.cluster import opened
from cytosuite.benchmark.commands.options import ClusterOptions
from cytosuite.errors import InputError

CARDS = ("GPU-a", "GPU-b", "GPU-c", "GPU-d")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return a function that gives the number of workers on a machine of 16 cores."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr("cytosuite.benchmark.cluster.opened.free_gib", lambda: 1000.0)

    def number(**site):
        return OpenCluster("local", ClusterSite(**site), tmp_path, print)._places()

    return number


def test_a_machine_with_four_cards_has_four_workers(places, machine, monkeypatch):
    machine(*CARDS)
    assert places(gpus=1) == 4
    assert places() == 16
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert places(gpus=1) == 2


def test_a_site_may_ask_for_more_workers_which_wait_for_a_card(places, machine):
    machine(*CARDS)
    assert places(gpus=1, workers=7) == 7


def test_cores_bound_the_workers_too(places, machine):
    machine(*CARDS)
    assert places(gpus=1, cores=8) == 2


def test_a_machine_without_cards_is_one_line(places, machine):
    machine()
    with pytest.raises(InputError, match="driver finds no GPU on this machine"):
        places(gpus=1)


@pytest.mark.parametrize(
    ("device", "text", "gpus"), [("cpu", "", 0), ("cuda", "", 1), ("cuda", "gpus = 1", 1)]
)
def test_a_run_on_gpus_has_one_per_worker(tmp_path, device, text, gpus):
    (tmp_path / "site.toml").write_text(text)
    options = ClusterOptions(cluster="local", site=tmp_path / "site.toml")
    with opened(options, tmp_path, Console(file=io.StringIO()), device) as cluster:
        assert cluster.site.gpus == gpus
