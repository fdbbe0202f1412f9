"""Choose the engine: containers of Docker, podman or Apptainer, or plain processes."""

from importlib import import_module

from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.catalog.places import CHECKOUT, need_checkout
from cytosuite.benchmark.engines.images.daemon import find_docker
from cytosuite.benchmark.engines.outcome import Engine, say
from cytosuite.contract.words import Say
from cytosuite.errors import InputError
from cytosuite.files import TextPair

# Modules with a function `start`, by engine; only the chosen one is loaded.
ENGINES = {"docker": "docker", "podman": "docker", "apptainer": "apptainer", "process": "process"}


def choose(word: str, device: Device = "cpu", say: Say = say) -> tuple[Engine, str]:
    """Return an engine of `ENGINES`, see `engine_name`, and a sentence on it."""
    name, reason = engine_name(word)
    module = import_module(f"cytosuite.benchmark.engines.{ENGINES[name]}")
    return module.start(name, device, say), f"engine: {reason}"


def engine_name(word: str) -> TextPair:
    """Return the name of an engine, by ``auto`` Docker if a daemon answers, and the reason."""
    if word not in {"auto", *ENGINES}:
        raise InputError(
            f"ENGINE must be auto, docker, podman, apptainer or process, found {word!r}"
        )
    if word == "auto":
        if not CHECKOUT:
            why = "an installed package, containers are built from a checkout"
            return "process", f"process (plain processes: {why})"
        if isinstance(reason := find_docker(), str):
            return "process", f"process (plain processes: no Docker daemon, {reason})"
        return "docker", "docker (a Docker daemon answers)"
    if word == "process":
        return word, "process, as asked (plain processes, no isolation)"
    need_checkout(f"ENGINE={word}")
    return word, f"{word} (as asked)"
