"""Judge twenty teams by the evaluation's container, five of whom cheat; print what became of them.

The honest teams are judged in this process, alone; then all teams by one server, cheats between the
others. Exact is a cheat's case with a failed row in one line,
or a score below that of the truth, and an honest team with its scores to the last digit. The truth
must not change, and no container may be left.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tarfile
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cytosuite.benchmark.engines.collect import empty
from cytosuite.benchmark.engines.images.blueprints import evaluation_blueprint
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.images.daemon import find_docker
from cytosuite.benchmark.runs.data.dataset import prepare
from cytosuite.benchmark.runs.data.recipe import Recipe
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.benchmark.submission.judging.evaluate import Evaluator
from cytosuite.benchmark.submission.judging.ground_truth import ground_truth
from cytosuite.benchmark.submission.rehearsal import SHUT, TRUTH
from cytosuite.contract.tasks import TASKS
from cytosuite.datasets.sample import Sample
from cytosuite.formats import write
from cytosuite.volume import Volume
from tests import puppets
from tests.hostile.expected import HOME, attacks
from tests.hostile.tally import Tally, state

TEAMS = 20
CASES = [f"case_{number:02}" for number in range(1, 32)]
TASK, PLACE, SPACING = TASKS["segment"], "images/instance-labels", (2.0, 1.0, 1.0)
METRICS = "metrics.json"
LIMITS = {"mem_limit": "1g", "memswap_limit": "1g", "pids_limit": 128, "nano_cpus": 10**9}
ROOM = {"/tmp": "size=64m"}  # for all outputs of a team, and not for a large file
LARGE = 80 * 2**20
LATE_S = 300
ASK = ["python3", "-m", "cytosuite.contract.client"]
ODD = attacks("files", "images")  # for three teams, each a third
LABEL = "org.cytosuite.cheats"


def sample():
    """Return an image of four objects and their labels, as `attacks.tools` knows them."""
    labels = np.zeros((6, 32, 32), np.uint16)
    for label in range(1, 5):
        labels[1:5, 7 * label - 5 : 7 * label - 1, 4:9] = label
    image = Volume(labels * np.uint16(100), (2.0, 1.0, 1.0), "ZYX")
    return Sample({"microscopy-image": image, "instance-labels": image.like(labels)})


def labels_of(team, case):
    """Return labels with errors that differ from team to team, and from case to case."""
    rng = np.random.default_rng([team, CASES.index(case)])
    shifted = np.roll(sample().volume("instance-labels").array, rng.integers(0, 3, 3), (0, 1, 2))
    shifted[shifted == rng.integers(1, 9)] = 0
    return shifted


def honest(team, case, output):
    """Write labels as an honest team does."""
    output /= PLACE
    output.mkdir(parents=True)
    write(output / f"team-{team}.mha", Volume(labels_of(team, case), SPACING, "ZYX"))


def reader(case, output):
    """Read the truth, where an evaluation has it: by links, headers and names of other files."""
    truth = f"{TRUTH}/cases/{case}/sockets/{PLACE}"
    _stolen(CASES.index(case), truth, f"{case}.tif", output)


def neighbour(case, output):
    """Read the outputs of other cases and teams, or copy what all have; fill the disk."""
    number = CASES.index(case)
    if number == 0:
        (output / PLACE).mkdir(parents=True)
        (output / PLACE / "large.mha").write_bytes(os.urandom(LARGE))
    elif number == 1:
        honest(0, case, output)
        (output / "large.bin").write_bytes(bytes(LARGE))
    elif number == 2:
        image = sample().volume("microscopy-image")
        write(output / PLACE / "a.tif", image.like((image.array > 0).astype(np.uint8)))
    else:
        _stolen(number, f"../../../../../{number:06d}/output/{PLACE}", "team-1.mha", output)


def _stolen(number, folder, name, output):
    """Name a file of others in one of six ways."""
    place = output / PLACE
    far = "../" * 12 + folder.lstrip("/")
    if number % 6 == 0:
        place.parent.mkdir(parents=True)
        place.symlink_to(folder)
        return
    place.mkdir(parents=True)
    head = ["ObjectType = Image", "NDims = 3", "ElementSpacing = 0.001 0.001 0.002"]
    head += ["DimSize = 32 32 6", "ElementType = MET_USHORT", "HeaderSize = -1"]
    for turn, where in enumerate((folder, far), 1):
        if number % 6 == turn:
            (place / name).symlink_to(f"{where}/{name}")
        elif number % 6 == turn + 2:
            lines = [*head, f"ElementDataFile = {where}/{name}", ""]
            (place / "a.mha").write_text("\n".join(lines))
    if number % 6 == 5:
        os.mkfifo(place / name)


def odd(turn, outputs):
    """Let the programs of some attacks write the outputs of a team, each in a process of its own."""
    data = outputs / "data"
    write(data / "images/microscopy-image/a.tif", sample().volume("microscopy-image"))
    for number, attack in enumerate(ODD[turn::3], 1):
        output = outputs / f"{number:06d}" / "output"
        output.mkdir(parents=True)
        if (child := os.fork()) == 0:
            with suppress(BaseException):
                os.environ |= {"CYTOSUITE_INPUT": str(data), "CYTOSUITE_OUTPUT": str(output)}
                sys.path.insert(0, str(HOME.parent))
                sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
                exec(f"from attacks import {attack.module}\n{attack.place}()")
            os._exit(0)
        os.waitpid(child, 0)
    shutil.rmtree(data)


def submissions(home):
    """Write the outputs of all teams as the platform lays them out; return the names of cheats."""
    for team in range(TEAMS):
        for number, case in enumerate(CASES if team < TEAMS - 3 else (), 1):
            output = home / f"team-{team:02}" / f"{number:06d}" / "output"
            output.mkdir(parents=True)
            {TEAMS - 5: reader, TEAMS - 4: neighbour}.get(team, partial(honest, team))(case, output)
    for turn in range(3):
        odd(turn, home / f"team-{TEAMS - 3 + turn:02}")
    place = {"slug": "instance-labels", "relative_path": PLACE}
    jobs = [
        {
            "pk": f"{number:06d}",
            "status": "Succeeded",
            "inputs": [
                {"interface": {"slug": "microscopy-image"}, "image": {"name": f"{case}.tif"}}
            ],
            "outputs": [{"interface": place, "image": {"name": "a.mha"}}],
        }
        for number, case in enumerate(CASES, 1)
    ]
    for folder in home.iterdir():
        (folder / "predictions.json").write_text(json.dumps(jobs))
    return {f"team-{team:02}": team - TEAMS + 3 for team in range(TEAMS - 5, TEAMS)}


def truth_of(home):
    """Write and unpack the truth of a phase, and return its folder."""
    makers = tuple((case, sample) for case in CASES)
    recipe = Recipe("lures", "Lures", "mini", "segment", 0, "0" * 64, makers)
    data = prepare(recipe, home / "data", Processes(1), lambda *_: None)
    ground_truth(data, TASK).write(home / "truth.tar.gz")
    with tarfile.open(home / "truth.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # of 3.11.4 on
        archive.extractall(home / "truth")
    return home / "truth"


@contextmanager
def container(client, image, command, volumes):
    """Start a container of the evaluation within limits, and remove it."""
    flags = SHUT | LIMITS | {"tmpfs": ROOM, "labels": [LABEL], "detach": True}
    bound = {str(path): {"bind": to, "mode": mode} for path, to, mode in volumes}
    box = client.containers.run(image, command, volumes=bound, **flags)
    try:
        yield box
    finally:
        box.remove(force=True)


def by_server(client, image, truth, teams, folder):
    """Yield each team's exit code, log and scores from one server; the truth may be written to."""
    exchange = folder / "in"
    output = folder / "out"
    exchange.mkdir(parents=True)
    output.mkdir()
    output.chmod(0o777)
    volumes = (exchange, "/input", "ro"), (output, "/output", "rw"), (truth, TRUTH, "rw")
    with container(client, image, "invoke", volumes) as box:
        assert box.exec_run([*ASK, "GET /health", "60", "10"]).exit_code == 0, box.logs()
        seen = len(box.logs())
        for team in teams:
            for path in [*team.iterdir()]:
                path.rename(exchange / path.name)
            asked = ["timeout", str(LATE_S), *ASK, "POST /invoke", "0", "0"]
            code = box.exec_run(asked).exit_code
            log = box.logs()
            for path in [*exchange.iterdir()]:
                path.rename(team / path.name)
            text = (output / METRICS).read_text() if (output / METRICS).exists() else ""
            for path in output.iterdir():
                path.unlink()
            yield team.name, code, log[seen:].decode(errors="replace"), text
            seen = len(log)


def judge(tally, cheats, expected, result):
    """Count an honest team, or each case of a cheat."""
    team, code, log, text = result
    with tally.attempt("teams that cheat" if team in cheats else "honest teams"):
        assert (code, "Traceback" in log) == (0, False), f"{team}: exit code {code}: {log[-900:]}"
        assert team in cheats or text == expected[team], f"{team}: other scores: {text[:300]}"
    if team not in cheats or not text:
        return
    content = json.loads(text)
    failed = {one["case"].removesuffix(".tif"): one["reason"] for one in content["failed"]}
    turn = cheats[team]
    odd = dict(zip(CASES, ODD[turn::3], strict=False)) if turn >= 0 else {}
    for case in CASES:
        with tally.attempt("cases of cheats"):
            reason = failed.get(case, "")
            score = content["case"][f"{case}.tif"]["SEG"]
            where = f"{team} {case} {odd.get(case, '')}: {score}, {reason}"
            assert reason.isprintable(), where
            assert not reason or score == 0, where
            assert odd or score < 1, where
            if case in odd:
                status, _, message = reason.partition(": ")
                assert odd[case].holds(status or "ok", message), where


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.cheats", description=__doc__)
    parser.parse_args()
    client = find_docker()
    tally = Tally()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # containers are removed
    if isinstance(client, str):
        parser.error(f"no Docker daemon: {client}")
    puppets.base(client)
    image = Builder(client, puppets.ROOT).build_image(evaluation_blueprint(puppets.ROOT))
    with TemporaryDirectory() as name:
        home = Path(name)
        teams = Path(name) / "teams"
        home.chmod(0o755)
        cheats = submissions(teams)
        truth = truth_of(home)
        before = state(truth)
        expected = {}
        for team in sorted(path for path in teams.iterdir() if path.name not in cheats):
            Evaluator(team, home / "own" / team.name, truth).run_case()
            expected[team.name] = (home / "own" / team.name / METRICS).read_text()
        mixed = sorted(teams.iterdir(), key=lambda path: (int(path.name[-2:]) * 7) % TEAMS)
        for result in by_server(client, image, truth, mixed, home / "server"):
            judge(tally, cheats, expected, result)
        with tally.attempt("the truth is the same"):
            assert state(truth) == before
        empty(teams)  # no other program removes folders so deep
        with tally.attempt("no container is left"):
            assert client.containers.list(all=True, sparse=True, filters={"label": LABEL}) == []
    client.close()
    sys.exit(tally.show())


if __name__ == "__main__":
    main()
