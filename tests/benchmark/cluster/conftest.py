"""Jobs of a tiny dataset, and pools that lose what a test wants."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from cytosuite.benchmark.cluster import cases as module
from cytosuite.benchmark.cluster.cases import Circumstances
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.store.pool import Lost


@pytest.fixture
def planned(tmp_path, watershed):
    """Return a function that plans a dataset with an engine, in one folder."""

    def planned(dataset, engine, **options):
        return plan(dataset, [watershed], engine, tmp_path / "run", **options)

    return planned


@pytest.fixture
def circumstances(fakes, tmp_path, monkeypatch):
    """Return the circumstances of a run with a fake engine."""
    limits = {"watershed": replace(fakes.limits, memory_gib=2.0)}
    apis = {"watershed": "invoke"}
    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    return Circumstances("fake", "cpu", "segment", limits, apis, scratch=tmp_path / "scratch")


@pytest.fixture
def start(monkeypatch):
    """Return a function that makes an engine the one that workers start."""

    def start(engine):
        monkeypatch.setattr(module, "choose", lambda wanted, device: (engine, "engine: fake"))
        return engine

    return start


@pytest.fixture
def shaky():
    """Return a pool of this process that loses the pieces for which a function says so."""

    def shaky(loses, slots=1):
        seen = []

        def each(work, pieces):
            for number, piece in enumerate(pieces):
                names = [case.name for case in piece.cases]
                seen.append(names)
                yield number, Lost("4 workers ended") if loses(names) else work(piece)

        return SimpleNamespace(slots=slots, each=each, seen=seen)

    return shaky
