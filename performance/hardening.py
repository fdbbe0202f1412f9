"""Measure the time that isolation adds to a case, beside a bare ``docker run`` of the same image.

Usage: python performance/hardening.py [repeats]

Both give the same mini spheroid to the image of `watershed`, in turns. Bare *exec* is ``docker run
--rm`` with two mounts; bare *invoke* is a running server, and the request by ``docker exec`` in
emptied folders. Ours adds: no network, read-only root, limits, no capabilities, a frozen container
between the cases, copies of input and output, size and memory watched.
"""

import inspect
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cytosuite import client as http
from cytosuite.benchmark.containers.daemon import Client, need_docker
from cytosuite.benchmark.containers.images import image_tag
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import Api, Limits
from cytosuite.tasks import TASKS

ALGORITHM = "watershed"
APIS: tuple[Api, ...] = ("exec", "invoke")


def main() -> None:
    """Print the median time of a case by interface and by program."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    client = need_docker()
    print(f"{repeats} cases each; {platform.machine()}, {os.cpu_count()} cores")
    print(f"{'interface':10} {'bare (s)':>9} {'ours (s)':>9} {'added (s)':>10} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = recipe(DataRequest("spheroid", "mini", cases=1))
        (case,) = prepare(made, place / "data", 1, lambda *_: None).cases
        given = Path(shutil.copytree(case.input(TASKS["segment"]), place / "given"))
        for api in APIS:
            with (
                bare(client, api, given, place / f"bare-{api}") as theirs,
                ours(client, api, given, place / f"ours-{api}") as own,
            ):
                found = in_turns({"bare": theirs, "ours": own}, repeats)
            added = found["ours"] - found["bare"]
            ratio = found["ours"] / found["bare"]
            print(f"{api:10} {found['bare']:9.3f} {found['ours']:9.3f} {added:10.3f} {ratio:6.2f}x")


def in_turns(programs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each program; turns are taken after a first run of each."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(repeats + 1):
        for name, run in programs.items():
            begin = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


@contextmanager
def ours(client: Client, api: Api, given: Path, place: Path) -> Iterator[Callable[[], None]]:
    """Give a function that runs the case in isolation."""
    engine = DockerEngine(client)
    limits = Limits(cpus=float(os.cpu_count() or 1))
    with engine.session(ALGORITHM, place / "session", limits, api) as session:

        def run() -> None:
            """Run the case, and empty its output."""
            output = place / "output"
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir(parents=True)
            outcome = session.predict(given, output, place / "log.txt")
            assert outcome.status == "ok", outcome

        yield run


@contextmanager
def bare(client: Client, api: Api, given: Path, place: Path) -> Iterator[Callable[[], None]]:
    """Give a function that runs the case as ``docker run`` and ``docker exec`` do."""
    folders = {f"/{name}": place / name for name in ("input", "output")}
    for path in folders.values():
        path.mkdir(parents=True)
        path.chmod(0o777)
    wanted: dict[str, Any] = {
        "volumes": {str(path): {"bind": mount, "mode": "rw"} for mount, path in folders.items()}
    }

    def filled() -> None:
        """Put the case into emptied folders."""
        for path in folders.values():
            for entry in path.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.copytree(given, folders["/input"], dirs_exist_ok=True)

    def once() -> None:
        """Run a container for the case."""
        filled()
        client.containers.run(image_tag(ALGORITHM), ["exec"], remove=True, **wanted)

    if api == "exec":
        yield once
        return
    container = client.containers.run(image_tag(ALGORITHM), ["invoke"], detach=True, **wanted)
    source = inspect.getsource(http)

    def ask(line: str, patience: str) -> None:
        """Send a request to the server."""
        code, _ = container.exec_run(["python3", "-I", "-S", "-c", source, line, patience, "0"])
        assert code == 0, code

    def request() -> None:
        """Give the case to the server."""
        filled()
        ask(http.INVOKE, "0")

    try:
        ask(http.HEALTH, "60")
        yield request
    finally:
        container.remove(force=True)


if __name__ == "__main__":
    main()
