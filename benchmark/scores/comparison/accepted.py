"""Accepted scores: thin runs in ``benchmark/accepted``, which later runs are compared with."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.benchmark.scores.circumstances import cases_today, models_today, simulation_today
from cytosuite.benchmark.scores.comparison.comparison import failed
from cytosuite.benchmark.scores.comparison.history import add_to_history
from cytosuite.benchmark.scores.comparison.scored import (
    FACTS,
    FILE,
    ScoredRun,
    read_scored,
    some,
)
from cytosuite.benchmark.scores.controls import broken_rulers
from cytosuite.datasets.recipes import simulations
from cytosuite.errors import InputError, at, plain
from cytosuite.files import TextDict, atomic, write_json
from cytosuite.metrics.metric import known_metrics

ACCEPTED = PACKAGE / "benchmark/accepted"
BOARD = "leaderboard.csv"
KEPT = (
    *("dataset", "task", "fingerprint", "engine", "api", "machine", "jobs"),
    *("request", "cytosuite", "versions", "cases"),
)
AGAIN = "run it again"


def accept(run: ScoredRun, name: str, title: str, folder: Path = ACCEPTED) -> Path:
    """Keep the scores of a sound run as the accepted ones, and return their folder."""
    place = folder / name
    former = read_scored(place).said("title") if (place / FACTS).is_file() else ""
    with at(run.place):
        _need_sound(run)
        models = _used_models(run)
        simulation = _simulation(run)
        if simulation and (cases := _other_cases(run)):
            raise InputError(f"the simulation makes other data today: {some(cases)}; {AGAIN}")
    facts = {key: run.facts[key] for key in KEPT if key in run.facts}
    facts |= {"title": title or former, "models": models, "simulation": simulation}
    with atomic(place) as temporary:
        (temporary / "report").mkdir(parents=True)
        for file in (FILE, BOARD):
            shutil.copyfile(run.place / "report" / file, temporary / "report" / file)
        write_json(temporary / FACTS, facts)
    add_to_history(run, name, folder)
    return place


def accepted(folder: Path = ACCEPTED) -> dict[str, ScoredRun]:
    """Return all accepted runs by name."""
    return {
        path.parent.name: read_scored(path.parent) for path in sorted(folder.glob(f"*/{FACTS}"))
    }


def accepted_for(run: ScoredRun, folder: Path = ACCEPTED) -> ScoredRun:
    """Return the accepted scores by fingerprint or request of a run, else InputError."""
    runs = accepted(folder)
    for key in ("fingerprint", "request"):
        for scored in runs.values():
            same = run.facts.get(key) and scored.facts.get(key) == run.facts[key]
            if same and scored.said("task") == run.said("task"):
                return scored
    said = json.dumps(run.table("request")) if run.facts else "a table without run.json"
    raise InputError(
        f"{run.place}: no accepted scores of its dataset ({said}); there are "
        f"{some(runs, 20)}; cytosuite maintain accept RUN adds them"
    )


def stale(run: ScoredRun) -> Iterator[str]:
    """Yield why accepted scores are not the checkout's: other models, or data (both ends made)."""
    for algorithm, models in run.table("models").items():
        today = models_today(algorithm)
        changed = [name for name, digest in models.items() if today.get(name) != digest]
        if changed:
            yield f"the scores are of older weights or parameters of {algorithm}: {some(changed)}"
    made_by = run.said("simulation")
    if made_by and made_by != _simulation(run) and (cases := _other_cases(run)):
        yield f"the simulation makes other data today: {some(cases)}"


def _need_sound(run: ScoredRun) -> None:
    """Refuse a run with failed cases or a broken ruler."""
    if missing := [key for key in KEPT if key not in run.facts]:
        raise InputError(f"run.json has no {missing[0]}: the run is older than cytosuite; {AGAIN}")
    if not (run.place / "report" / BOARD).is_file():
        raise InputError(f"expected report/{BOARD}, found none; give a run's folder")
    if lost := [
        f"{name} on {some(cases)}" for name in run.algorithms if (cases := failed(run, name))
    ]:
        raise InputError(f"failed cases cannot be accepted: {'; '.join(lost)}")
    if broken := broken_rulers(run.scores, known_metrics(run.said("task")).values()):
        raise InputError(f"the ruler is broken: {broken[0]}")
    if run.said("cytosuite").endswith("+"):
        raise InputError(
            f"made from uncommitted changes ({run.said('cytosuite')}); commit them and run it again"
        )


def _used_models(run: ScoredRun) -> dict[str, TextDict]:
    """Return the digests of the models that took part, by algorithm."""
    digests: dict[str, TextDict] = {}
    for name in run.algorithms:
        recorded = run.table("models").get(name, {})
        today = models_today(name)
        used = sorted(set(run.scores.loc[run.scores["algorithm"] == name, "model"]) - {""})
        for model in used:
            if model not in recorded or recorded[model] != today.get(model):
                raise InputError(
                    f"model {plain(model, 100)} of {name} is not that of "
                    f"weights/{name} today; run it again with the models of the checkout"
                )
        digests[name] = {model: recorded[model] for model in used}
    return digests


def _simulation(run: ScoredRun) -> str:
    """Return the digest of the simulation that a run's data come from; empty for given images."""
    words = run.table("request")
    name = str(words.get("dataset", ""))
    if name.endswith(".toml"):
        raise InputError(f"{run.place}: {name} is no recipe of the checkout; put it there first")
    return simulation_today(words) if name.split("/")[0] in simulations() else ""


def _other_cases(run: ScoredRun) -> list[str]:
    """Return the first and last case of a simulation, if they are others today."""
    recorded = run.table("cases")
    today = cases_today({**run.table("request"), "task": run.said("task")})
    return [name for name, digest in today.items() if recorded.get(name) != digest]
