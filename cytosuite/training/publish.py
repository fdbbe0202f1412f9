"""A trained network as a model: weights in safetensors and a card with their digest."""

import hashlib
import subprocess
from collections.abc import Mapping
from getpass import getuser
from math import inf, isfinite
from pathlib import Path
from shutil import which
from typing import Any

import torch
from safetensors.torch import save as packed
from torch import Tensor

from cytosuite.files import atomic, read_json, write_json
from cytosuite.manifest import AlgorithmManifest, ModelCard, parse, read_algorithm
from cytosuite.network import tensors_of
from cytosuite.training.checkpoint import Data
from cytosuite.training.parts import Best, Case, Cases, State, Training
from cytosuite.training.settings import Settings, TrainingSettings
from cytosuite.training.validate import metric_named, score, wanted_metrics

ALGORITHMS = Path(__file__).parents[1] / "algorithms"


def publish(
    training: Training[Settings, Case],
    settings: Settings,
    state: State,
    cases: Cases[Case],
    held: Cases[Case],
    path: Path,
    facts: Mapping[str, Any],
    data: Data,
) -> Path:
    """Write the weights, if any, and the card of a model, and return the card's path.

    Parameters
    ----------
    training, settings, state
        The weights of the best validation are published or, without one, the average; none of a
        schedule without steps.
    cases, held : mapping of str to sequence
        Cases trained on, and those kept out of training, by role.
    path : Path
        ``<name>.json``; the weights lie next to it as ``<name>.safetensors``.
    facts : mapping
        Further entries of ``trained``, like the origin; `scores` of a parent on the held-out cases.
    data : mapping of str to sequence of Path
        Folders by role.

    Notes
    -----
    The automatic choice leaves a model out that has no scores of cases kept out, or is not above
    its parent on these; one without a parent until the user adopts it.
    """
    best, given = state.best, settings.card.model_dump(mode="json")
    steps = best.step if best else state.step
    parent: Mapping[str, Any] = facts.get("parent", {})
    purpose, kept_out = _purpose(data, cases, held, steps, parent.get("name"))
    scores, simpler = _scores(best, settings), _baselines(training, settings, held, best)
    algorithm = read_algorithm(ALGORITHMS / training.algorithm / "algorithm.toml")
    adopted = _is_above(scores, parent.get("scores", {}), settings.validation.metric)
    behind = _unbeaten(scores, simpler, algorithm)
    behind += [parent["name"]] if "scores" in parent and not adopted else []
    purpose = given["description"] or purpose
    if behind:
        named = " and ".join(behind)
        purpose += f" Did not beat {named} on its held-out images: used only by name."
    card = {
        **given,
        "name": path.stem,
        "description": purpose,
        "authors": given["authors"] or user(),
        "algorithm": training.algorithm,
        "task": algorithm.task,
        "describes": {**training.describe(cases, settings), **given["describes"]},
        "scores": {kept_out: scores} if best else {},
        "baselines": simpler,
        "adopted": adopted,
        "trained": {**facts, **_course(settings, state, cases), "steps": steps},
    }
    if settings.schedule.steps:
        network = settings.network.model_dump(mode="json")
        card["parameters"] = {"network": network, **given["parameters"]}
        card |= _write_weights(state, path.with_suffix(".safetensors"))
    write_json(path, parse(path, card, ModelCard).model_dump(mode="json"))
    return path


def _course(settings: TrainingSettings, state: State, cases: Cases[Case]) -> dict[str, Any]:
    """Return numbers of cases by role, seed, seconds, device and program of a training."""
    return {
        "cases": {role: len(found) for role, found in cases.items()},
        "seed": settings.schedule.seed,
        "seconds": round(state.seconds, 1),
        "device": state.place,
        "torch": str(torch.__version__),
    }


def _write_weights(state: State, path: Path) -> dict[str, str]:
    """Write the best weights or, without a validation, the average; return the card's entries."""
    kept = tensors_of(state.average) if state.best is None else state.best.weights
    content = packed({name: _small(v) for name, v in kept.items() if v.is_floating_point()})
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return {"weights": path.name, "sha256": hashlib.sha256(content).hexdigest()}


def _scores(best: Best | None, settings: TrainingSettings) -> dict[str, float]:
    """Return the scores of the published weights, by metric."""
    return rounded({settings.validation.metric: best.score, **best.also}) if best else {}


def _baselines(
    training: Training[Settings, Case], settings: Settings, held: Cases[Case], best: Best | None
) -> dict[str, dict[str, float]]:
    """Return the scores of simpler methods on the held-out cases, by method, then metric."""
    if training.baselines is None or best is None:
        return {}
    metrics = wanted_metrics(settings.validation)
    methods = training.baselines(held, settings)
    return {method: rounded(score(metrics, facts)) for method, facts in methods}


def _unbeaten(
    scores: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    algorithm: AlgorithmManifest,
) -> list[str]:
    """Return the simpler methods that a model is not above by the metric of `SelectPolicy`."""
    name = algorithm.select.score
    values = {method: found[name] for method, found in baselines.items() if name in found}
    return [method for method, value in values.items() if scores.get(name, -inf) <= value]


def _is_above(scores: Mapping[str, float], parent: Mapping[str, float], name: str) -> bool:
    """Return whether a model is better than its parent by the metric that chose its weights."""
    if name not in scores or name not in parent:
        return False
    sign = 1 if metric_named(name).higher_is_better else -1
    return sign * scores[name] > sign * parent[name]


def rounded(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores as a card has them; undefined ones are left out."""
    return {name: round(value, 4) for name, value in scores.items() if isfinite(value)}


def _purpose(
    data: Data,
    cases: Cases[Case],
    held: Cases[Case],
    steps: int,
    parent: str | None,
) -> tuple[str, str]:
    """Return a sentence about the training, and the name of the cases kept out of it."""
    of = ", ".join(title(folder) for folders in data.values() for folder in folders)
    count, out = (sum(map(len, each.values())) for each in (cases, held))
    start = parent or "random weights"
    trained = f"Trained for {steps} steps on {count} cases of {of}, from {start}."
    measured = f"Measured on {count} cases of {of}."
    return trained if steps else measured, f"held-out {out} of {count + out} cases of {of}"


def title(folder: Path) -> str:
    """Return the name by which a dataset is asked for, or that of a plain folder."""
    facts = folder / "dataset.json"
    found = read_json(facts) if facts.is_file() else {}
    own = found.get("seed") is None  # not simulated
    name = str(found.get("name", folder.resolve().name))
    return name if own else f"{name}/{found['size']}"


def user() -> str:
    """Return the name of the user: git's ``user.name`` or, without it, that of the account."""
    git = which("git")
    if git is not None:
        asked = subprocess.run([git, "config", "user.name"], capture_output=True, check=False)
        if name := asked.stdout.decode(errors="replace").strip():
            return name
    return getuser()


def _small(value: Tensor) -> Tensor:
    """Return weights as float16; norms stay float32, as their variances may be too small."""
    return value.cpu().to(torch.float16 if value.ndim > 1 else value.dtype).contiguous()
