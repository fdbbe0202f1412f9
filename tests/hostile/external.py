"""Run every hostile program as an image of others on the real daemon; print what became of it.

A case is exact if it ends with its row (see `expected`) in one printable line, in time, with a
short log; if the honest cases around it have the right labels; and if no container, folder or
memory of this program is left, and nothing beside the run has changed.
"""

import argparse
import os
import re
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.containers.daemon import find_docker
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import Recipe
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.external import ExternalImage, external_manifest
from cytosuite.benchmark.engines.hardening import RUN_LABEL
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.runs.run import run_job
from cytosuite.contract.tasks import TASKS
from cytosuite.datasets.sample import Sample
from cytosuite.formats import read
from cytosuite.volume import Volume
from tests import puppets
from tests.hostile.expected import attacks
from tests.hostile.tally import Tally, state

LARGER = replace(puppets.TINY, memory_gib=1.0, output_gib=4.0)  # programs that import libraries
UNNAMED = "expected /output/images/instance-labels, found"  # an external image's way to end well or without
FEW, SIDE_BY_SIDE = 24, 3  # attacks of a session, and sessions
LOG_BYTES, MEMORY_KB, LATE_S = 2**21, 2**20, 10.0
HONEST = "puppet-honest"  # before and after the attacks of a session
TASK = TASKS["segment"]


def tried(api):
    """Return interface, limits and attacks of each session, few enough to run side by side."""
    apart = api == "exec"
    found = [
        (attack, puppets.limits_of(attack))
        for attack in attacks("confinement", "resources", *([] if apart else ["servers"]))
        if not apart or attack.apart
    ]
    modules = ("files",) if apart else ("files", "images", "words")
    found += [(attack, LARGER) for attack in attacks(*modules)]
    groups = {}
    for attack, limits in found:  # a bomb lives on in its server
        alone = attack.name * (attack.name in puppets.BOMBS)
        groups.setdefault((limits, alone), []).append(attack)
    return [
        (api, limits, group[start : start + FEW])
        for (limits, _), group in groups.items()
        for start in range(0, len(group), FEW)
    ]


def well(attack, status, message):
    """Return whether the case of an attack ended as it must."""
    unnamed = UNNAMED in message and not {"ok", status}.isdisjoint(attack.statuses)
    return unnamed or attack.holds(status, message)


def sample():
    """Return an image of four objects and their labels, as `attacks.tools` knows them."""
    labels = np.zeros((6, 32, 32), np.uint16)
    for label in range(1, 5):
        labels[1:5, 7 * label - 5 : 7 * label - 1, 4:9] = label
    image = Volume(labels * np.uint16(100), (2.0, 1.0, 1.0), "ZYX")
    return Sample({"microscopy-image": image, "instance-labels": image.like(labels)})


@dataclass
class Campaign:
    """The daemon, a folder for data and runs, and what was found so far."""

    home: Path
    client: object
    base: str
    tally: Tally

    def dataset(self, names):
        """Return a dataset whose cases have these names, in their order."""
        makers = tuple((name, sample) for name in names)
        recipe = Recipe("lures", "Lures", "mini", "segment", 0, "0" * 64, makers)
        return prepare(
            recipe, self.home / names[1] / f"data-{len(names)}", processes(1), lambda *_: None
        )

    def session(self, api, limits, group):
        """Run some attacks between honest cases in one session, and judge each."""
        names = [f"{attack.module}-{attack.name}" for attack in group]
        dataset = self.dataset([f"{HONEST}-first", *names, f"{HONEST}-last"])
        image = puppets.image(self.client, self.base, api)
        external = ExternalImage("external", f"cytosuite/test-puppet:{api}", image, api, TASK)
        engine = DockerEngine(self.client, externals={"external": external}, voice=self.base)
        folder = self.home / names[0] / api
        (job,) = plan(dataset, [external_manifest(external, {})], engine, folder)
        before, crash = state(self.home / "canary"), ""
        try:
            run_job(job, TASK, engine, limits, api, lambda *_: None, keep_going=True)
        except Exception:
            crash = traceback.format_exc()
        for attack, name in zip(group, names, strict=True):
            with self.tally.attempt(f"{api}: {attack.module}"):
                ended(job.folder / name, limits, partial(well, attack))
        for name in (f"{HONEST}-first", f"{HONEST}-last"):
            with self.tally.attempt(f"{api}: honest ones beside them"):
                record = ended(job.folder / name, limits, lambda status, _: status == "ok")
                labels = read(job.folder / name / record.outputs["instance-labels"]).array
                assert np.array_equal(labels, sample().volume("instance-labels").array), name
        files = (path for path in folder.rglob("*") if path.is_symlink() or ".part" in path.name)
        with self.tally.attempt(f"{api}: nothing is left"):
            assert crash == ""
            assert [*files, *folder.rglob(".session*")] == []
            assert state(self.home / "canary") == before
            assert most_memory() < MEMORY_KB

    def containers(self):
        """Hold that no container of this program is left."""
        label = {"label": RUN_LABEL}
        boxes = self.client.containers.list(all=True, filters=label, ignore_removed=True)
        with self.tally.attempt("no container is left"):
            own = f":{os.getpid()}:"
            assert [box.name for box in boxes if own in box.labels[RUN_LABEL]] == []


def most_memory():
    """Return the peak memory of this program in kB; that of `getrusage` begins with its parent's."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def ended(folder, limits, holds):
    """Return the record of a case, which ended as it must, in one line, in time."""
    record = read_record(folder)
    assert record is not None, f"{folder.name}: no record"
    assert holds(record.status, record.message), f"{folder.name}: {record}"
    assert record.message.isprintable(), folder.name
    assert record.seconds < limits.timeout_s + LATE_S, f"{folder.name}: {record.seconds} s"
    assert (folder / "log.txt").stat().st_size < LOG_BYTES, folder.name
    return record


def begun(parser):
    """Return the options of a campaign, a client of the daemon that it needs, and its tally."""
    chosen, client = parser.parse_args(), find_docker()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # containers are removed
    if isinstance(client, str):
        parser.error(f"no Docker daemon: {client}")
    return chosen, client, Tally()


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.external", description=__doc__)
    parser.add_argument("--api", choices=("invoke", "exec"), help="both without it")
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    chosen, client, tally = begun(parser)
    with TemporaryDirectory() as home, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        canary = Path(home) / "canary" / "inner"
        canary.mkdir(parents=True)
        (canary.parent / "secret.tif").write_text("secret of the host")
        campaign = Campaign(Path(home), client, puppets.base(client), tally)
        sessions = [
            (*session[:2], group)
            for api in ([chosen.api] if chosen.api else ("invoke", "exec"))
            for session in tried(api)
            if (group := [attack for attack in session[2] if chosen.only in attack.name])
        ]
        for _ in pool.map(lambda session: campaign.session(*session), sessions):
            pass
        campaign.containers()
    client.close()
    sys.exit(tally.show())


if __name__ == "__main__":
    main()
