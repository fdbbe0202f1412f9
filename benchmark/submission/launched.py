"""Run cases by the platform's own launcher, `sagemaker-shim`, in a container of ours."""

import time
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from cytosuite.benchmark.catalog.catalog import ROOT
from cytosuite.benchmark.containers.daemon import daemon_errors
from cytosuite.benchmark.engines.collect import give
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import HEALTH_S, Api, Limits
from cytosuite.benchmark.engines.sandbox import sandbox, watch
from cytosuite.errors import InputError, plain
from cytosuite.files import read_json, write_json

SHIM = "sagemaker-shim"
INSTALL = f"pip install httpx; pip install --no-deps --ignore-requires-python {SHIM}"
PROGRAM, HOME = ROOT / "docker" / "platform" / "drive.py", "/opt/platform"
ROOTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")  # its rights as root


def launch(
    engine: DockerEngine,
    name: str,
    limits: Limits,
    inputs: Mapping[str, Path],
    seconds: Mapping[str, float],
    folder: Path,
    api: Api = "invoke",
) -> dict[str, Any]:
    """Run cases within their seconds, in one start; return code and message of each by its name.

    `folder` may hold ``in/model.tar.gz`` and ``in/ground_truth.tar.gz``; ``out`` gets the outputs.
    """
    for case, place in inputs.items():
        (folder / "in" / case).mkdir(parents=True)
        give(place, folder / "in" / case)
    with daemon_errors(SHIM):
        image, flags = engine.container(name, limits, None)
        config = engine.client.images.get(image).attrs["Config"]
        write_json(folder / "request.json", {"api": api, "seconds": seconds, "config": config})
        entry = ["python3", f"{HOME}/{PROGRAM.name}"]
        flags |= {"read_only": False, "user": "0:0", "cap_add": ROOTS, "entrypoint": entry}
        places = {
            PROGRAM.name: PROGRAM,
            "packages": Path(str(distribution(SHIM).locate_file(""))),
            "buckets": folder,
        }
        folders = {f"{HOME}/{key}": path for key, path in places.items()}
        most = HEALTH_S + sum(seconds.values())
        with sandbox(engine.client, image, (), folders, limits, flags, f"{HOME}/buckets") as box:
            code = watch(box.exit_code, lambda waited: waited > most, time.perf_counter())
            _, line = box.new_log()
    if code != 0:
        raise InputError(f"{SHIM} ended with exit code {code}: {plain(line)}")
    return dict(read_json(folder / "results.json"))
